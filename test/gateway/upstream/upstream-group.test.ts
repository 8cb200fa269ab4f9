import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { secret } from '#contract/secret'
import { systemRandomBytes } from '#contract/clock'
import type { SpiffeId } from '#contract/spiffe-id'
import { noLog, noMeter } from '#contract/telemetry'
import type { Upstream } from '#config/schema'
import { upstreamGroup, type Picked } from '#gateway/upstream/upstream-group'
import type { UpgradingClient } from '#gateway/upstream/undici-client'
import type { OwnSvid, Svid } from '#identity/svid/svid'

const id = 'spiffe://mesh.test/orders' as SpiffeId
const svid = (name: string): Svid => ({
  spiffeId: 'spiffe://mesh.test/gateway' as SpiffeId,
  certificateChain: name,
  privateKey: secret(''),
  bundle: '',
  notBeforeMs: 0,
  notAfterMs: 1,
})

const defaults = {
  maxInFlight: 1000,
  maxQueued: 0,
  queueTimeoutMs: 1000,
  ejection: { afterFailures: 3, baseSeconds: 10, maxSeconds: 60, maxPercent: 50 },
  resolveSeconds: 3600,
}

/** A group whose clients do nothing, a clock that stands still, and a resolver of our own. */
const setUp = (endpoints: Upstream['endpoints'], changed: Partial<Upstream> = {}) => {
  let current = svid('first')
  let tellChange = (_svid: Svid) => {}
  const ownSvid: OwnSvid = {
    current: () => current,
    onChange: (listener) => {
      tellChange = listener
      return () => {
        tellChange = () => {}
      }
    },
    close: () => {},
  }
  const made: string[] = []
  const closed: string[] = []
  const addresses: Record<string, readonly string[]> = {}
  let nowMs = 0
  const client = (name: string): UpgradingClient => {
    made.push(name)
    return {
      dispatch: () => {},
      upgrade: () => {},
      close: async () => void closed.push(name),
      destroy: () => {},
      stats: () => ({ open: 0, connecting: 0, inFlight: 0, queued: 0 }),
    }
  }
  const nameOf = (place: { endpoint: string; address?: string }, { certificateChain }: Svid) =>
    [place.endpoint, place.address, certificateChain].filter((part) => part).join(' ')
  const group = upstreamGroup('orders', { ...defaults, endpoints, ...changed } as Upstream, id, {
    ownSvid,
    makeClients: {
      forRequests: (place, own) => client(nameOf(place, own)),
      forUpgrades: (place, own) => client(`upgrades ${nameOf(place, own)}`),
    },
    resolve: async (host) => addresses[host] ?? [],
    randomBytes: systemRandomBytes,
    uptimeMs: () => nowMs,
    meter: noMeter,
    log: noLog,
  })
  const renew = (name: string) => {
    current = svid(name)
    tellChange(current)
  }
  const pick = (): Picked => {
    const picked = group.pick()
    assert.ok(picked && !(picked instanceof Promise), 'there was no place')
    return picked
  }
  /** How many of so many requests, one after the other, each endpoint gets. */
  const shares = (
    requests: number,
    outcome: (endpoint: string) => 'ok' | 'failed' = () => 'ok',
  ) => {
    const counts: Record<string, number> = {}
    for (let i = 0; i < requests; i += 1) {
      const picked = pick()
      counts[picked.endpoint] = (counts[picked.endpoint] ?? 0) + 1
      picked.done(outcome(picked.endpoint))
    }
    return counts
  }
  const pass = (ms: number) => {
    nowMs += ms
  }
  return { group, made, closed, renew, pick, shares, pass, addresses }
}
const [a, b, c] = ['https://10.0.0.1:443', 'https://10.0.0.2:443', 'https://10.0.0.3:443'] as const

suite('choosing an endpoint', () => {
  test('the one with less under way gets the next request', () => {
    const { pick } = setUp([a, b])
    const held = Array.from({ length: 40 }, pick)
    const onA = held.filter(({ endpoint }) => endpoint === a).length
    assert.equal(onA, 20)
    for (const picked of held.filter(({ endpoint }) => endpoint === a)) picked.done('ok')
    const next = Array.from({ length: 20 }, pick)
    assert.ok(next.every(({ endpoint }) => endpoint === a))
  })

  test('a canary gets its share, however little there is to do', () => {
    const { shares } = setUp([
      { url: a, weight: 45 },
      { url: b, weight: 45 },
      { url: c, weight: 10 },
    ])
    const counts = shares(10_000)
    assert.ok(Math.abs((counts[c] ?? 0) - 1000) < 200, JSON.stringify(counts))
    assert.ok(Math.abs((counts[a] ?? 0) - (counts[b] ?? 0)) < 500, JSON.stringify(counts))
  })
})

suite('an endpoint that fails', () => {
  const fails = (endpoint: string) => (endpoint === a ? ('failed' as const) : ('ok' as const))

  test('gets nothing for a while, then is tried again, and is left out for longer each time', () => {
    const { shares, pass, group } = setUp([a, b, c])
    shares(200, fails)
    assert.equal(group.stats()[a]?.state, 'ejected')
    assert.equal(shares(100)[a], undefined)
    pass(9_999)
    assert.equal(shares(100)[a], undefined)
    pass(1)
    assert.ok((shares(200, fails)[a] ?? 0) >= 3)
    pass(19_999)
    assert.equal(shares(100)[a], undefined)
    pass(1)
    assert.ok((shares(100)[a] ?? 0) > 0)
  })

  test('is not left out for failures that come now and then', () => {
    const { shares, group } = setUp([a, b])
    const turns: Record<string, number> = {}
    shares(500, (endpoint) =>
      (turns[endpoint] = (turns[endpoint] ?? 0) + 1) % 3 === 0 ? 'ok' : 'failed',
    )
    assert.equal(group.stats()[a]?.state, 'available')
  })

  test('is not left out if it is the only one, and never are more than half', () => {
    const single = setUp([a])
    single.shares(50, () => 'failed')
    assert.equal(single.group.stats()[a]?.state, 'available')
    const three = setUp([a, b, c])
    three.shares(500, () => 'failed')
    const states = Object.values(three.group.stats()).map(({ state }) => state)
    assert.equal(states.filter((state) => state === 'ejected').length, 1)
  })

  test('is never left out where that is off', () => {
    const off = { ...defaults.ejection, afterFailures: 0 }
    const { shares, group } = setUp([a, b], { ejection: off })
    shares(100, fails)
    assert.equal(group.stats()[a]?.state, 'available')
  })
})

suite('how much may be under way', () => {
  test('no more than may be; each place is given back once', () => {
    const { group, pick } = setUp([a], { maxInFlight: 2 })
    const [one, two] = [pick(), pick()]
    assert.equal(group.pick(), undefined)
    one.done('ok')
    one.done('ok')
    assert.equal(group.inFlight(), 1)
    pick()
    assert.equal(group.pick(), undefined)
    two.done('ok')
  })

  test('others wait in their order, so many and so long as may be', async () => {
    const { group, pick } = setUp([a], { maxInFlight: 1, maxQueued: 2, queueTimeoutMs: 40 })
    const first = pick()
    const order: number[] = []
    const second = Promise.resolve(group.pick()).then((picked) => (order.push(2), picked))
    const third = Promise.resolve(group.pick()).then((picked) => (order.push(3), picked))
    assert.equal(await group.pick(), undefined)
    assert.equal(group.queued(), 2)
    first.done('ok')
    ;(await second)?.done('ok')
    assert.ok(await third)
    assert.deepEqual(order, [2, 3])
    assert.equal(await group.pick(), undefined, 'it waited too long')
    assert.deepEqual([group.queued(), group.inFlight()], [0, 1])
  })
})

suite('moving on', () => {
  const retries = { attempts: 2, budgetPercent: 20 }

  test('goes to each other endpoint at most once, and no further than allowed', () => {
    const { pick } = setUp([a, b, c], { retries: { ...retries, attempts: 3 } })
    const picked = pick()
    const been = [picked.endpoint]
    while (picked.moveOn()) been.push(picked.endpoint)
    assert.deepEqual(been.toSorted(), [a, b, c])
    const other = setUp([a, b, c], { retries: { ...retries, attempts: 1 } }).pick()
    assert.deepEqual([other.moveOn(), other.moveOn()], [true, false])
  })

  test('is off unless it is configured', () => {
    assert.equal(setUp([a, b]).pick().moveOn(), false)
  })

  test('stays within its budget', () => {
    const { pick } = setUp([a, b], { retries })
    let moved = 0
    for (let i = 0; i < 1000; i += 1) {
      const picked = pick()
      if (picked.moveOn()) moved += 1
      picked.done('ok')
    }
    assert.ok(moved >= 200 && moved <= 211, `${moved} of 1000`)
  })

  test('counts against the endpoint that was left', () => {
    const { pick, group } = setUp([a, b], {
      retries,
      ejection: { ...defaults.ejection, afterFailures: 1 },
    })
    const picked = pick()
    const left = picked.endpoint
    assert.ok(picked.moveOn())
    picked.done('ok')
    assert.equal(group.stats()[left]?.state, 'ejected')
    assert.equal(group.inFlight(), 0)
  })
})

suite('names of endpoints', () => {
  const named = 'https://orders.test:443'

  test('stand for all their addresses, which share the weight', async () => {
    const { group, addresses, shares, made, closed } = setUp([named, a])
    addresses['orders.test'] = ['10.1.0.2', '10.1.0.1', '10.1.0.2']
    await group.start()
    const [one, two] = [`${named} (10.1.0.1)`, `${named} (10.1.0.2)`]
    assert.deepEqual(Object.keys(group.stats()), [a, one, two])
    const counts = shares(4000)
    assert.ok(Math.abs((counts[a] ?? 0) - 2000) < 250, JSON.stringify(counts))
    assert.deepEqual(closed, [`${named} first`])
    assert.ok(made.includes(`${named} 10.1.0.1 first`))
    await group.close()
  })

  test('keep what they had when nothing is found', async () => {
    const { group } = setUp([named])
    await group.start()
    assert.deepEqual(Object.keys(group.stats()), [named])
    await group.close()
  })
})

suite('the own SVID', () => {
  test('renewed makes new connections; the old ones may finish', () => {
    const { made, closed, renew, pick } = setUp([a, b])
    renew('second')
    assert.deepEqual(made, [`${a} first`, `${b} first`, `${a} second`, `${b} second`])
    assert.deepEqual(closed, [`${a} first`, `${b} first`])
    pick()
  })

  test('is no longer followed once the group is closed', async () => {
    const { group, made, closed, renew } = setUp([a])
    await group.close()
    renew('second')
    assert.deepEqual([made, closed], [[`${a} first`], [`${a} first`]])
  })

  test('makes a client for upgrades only when one is asked for', () => {
    const { made, pick } = setUp([a])
    const picked = pick()
    assert.equal(picked.upgrades(), picked.upgrades())
    assert.deepEqual(made, [`${a} first`, `upgrades ${a} first`])
  })
})
