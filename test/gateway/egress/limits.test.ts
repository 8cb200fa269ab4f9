// What each workload may do by itself: how often, how much at one time, how many bytes either way, how long, how silently.
// Whatever one of them has used up, another has not.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { after, suite, test } from 'node:test'
import type { TunnelEnd } from '#contract/audit-event'
import { systemClock } from '#contract/clock'
import { noMeter } from '#contract/telemetry'
import { rateLimit } from '#plugins/rate-limit/guard'
import { memoryStore } from '#plugins/rate-limit/memory'
import { certificates, refusalOf, runRig, shop } from './rig.ts'

const other = 'spiffe://mesh.example/ns/shop/sa/other'
const sockets = new Set<Socket>()
/** Says back what it is told, and at its wish more: `send 1000`. */
const destination = createServer((socket) => {
  sockets.add(socket)
  socket.on('error', () => {})
  socket.on('data', (chunk: Buffer) => {
    const bytes = Number(/^send (\d+)/.exec(chunk.toString('latin1', 0, 20))?.[1] ?? 0)
    if (bytes > 0) socket.write(`${'x'.repeat(bytes)}!`)
  })
})
await once(destination.listen(0, '127.0.0.1'), 'listening')
const { port } = destination.address() as AddressInfo
after(() => {
  destination.close()
  for (const socket of sockets) socket.destroy()
})

type Limits = Partial<import('#config/schema').Egress['rules'][number]['limits']>
const rules = (limits: Limits = {}) => ({
  rules: [
    {
      id: 'shop',
      workloads: [shop, other],
      destinations: [
        { hosts: ['db.lan'], ports: [port], protocol: 'tcp' as const, opens: ['127.0.0.0/8'] },
      ],
      limits,
    },
  ],
})
const store = memoryStore({ slots: 65_536 }, { clock: systemClock, randomBytes })
const rig = await runRig(certificates(), {
  ...rules(),
  ports: {
    limit: (limit, of, { points, windowSeconds, mode }) =>
      rateLimit({
        bucket: store.bucket({ name: `${limit} ${of}`, points, windowSeconds }),
        limit,
        mode,
        key: ({ key }) => key,
        meter: noMeter,
      }),
  },
})
rig.dns.set('db.lan', [{ type: 'A', address: '127.0.0.1' }])
const place = `db.lan:${port}`
const ask = async (as: string) => {
  const { wire, answer } = await rig.connect(place, { as })
  wire.destroy()
  return refusalOf(answer)
}
/** How an open tunnel ends, once it does. */
const endOf = async (decisionId: string): Promise<TunnelEnd | undefined> => {
  const { egress } = await rig.recordOf(
    (event) => event.decisionId === decisionId && event.egress?.phase === 'closed',
  )
  return egress?.closedBy
}
const open = async (as: string) => {
  const { wire, answer } = await rig.connect(place, { as })
  assert.equal(answer.status, 200)
  return { wire, decisionId: /x-sallyport-decision-id: (\S+)/.exec(answer.head)?.[1] ?? '' }
}

suite('each workload by itself', () => {
  test('goes out so often, and the answer says by which rule', async () => {
    await rig.reload(rules({ requests: { points: 2, windowSeconds: 3600, mode: 'enforce' } }))
    assert.deepEqual([await ask(shop), await ask(shop)], ['200 none', '200 none'])
    const { wire, answer } = await rig.connect(place)
    wire.destroy()
    assert.equal(refusalOf(answer), '429 rate-exceeded')
    assert.match(answer.head, /^retry-after: \d+/im)
    assert.match(answer.json().detail, /^Rule `shop` does not let a workload go out so often/)
    assert.equal(await ask(other), '200 none')
    await rig.reload(rules({ requests: { points: 2, windowSeconds: 3600, mode: 'report' } }))
    assert.equal(await ask(shop), '200 none')
  })

  test('has so many tunnels open', async () => {
    await rig.reload(rules({ maxTunnels: 2 }))
    const open_ = [await open(shop), await open(shop)]
    assert.equal(await ask(shop), '429 tunnels-exceeded')
    assert.equal(await ask(other), '200 none')
    for (const { wire, decisionId } of open_) {
      wire.destroy()
      await endOf(decisionId)
    }
    assert.equal(await ask(shop), '200 none')
  })

  for (const [what, limits, said] of [
    ['sends', { maxBytesOutPerDay: 100_000 }, 'x'.repeat(400_000)],
    ['receives', { maxBytesInPerDay: 100_000 }, 'send 400000'],
    ['moves', { maxBytesPerDay: 100_000 }, 'send 400000'],
  ] as const)
    test(`${what} so many bytes a day: its tunnels are cut, and it gets no others`, async () => {
      const mine = `spiffe://mesh.example/ns/shop/sa/${what}`
      const as = { ...rules(limits).rules[0]!, workloads: [mine, other] }
      await rig.reload({ rules: [as] })
      const [busy, idle, others] = [await open(mine), await open(mine), await open(other)]
      busy.wire.write(said)
      assert.equal(await endOf(busy.decisionId), 'bytes-exceeded')
      assert.equal(await endOf(idle.decisionId), 'bytes-exceeded')
      assert.equal(await ask(mine), '429 bytes-exceeded')
      assert.equal(await ask(other), '200 none')
      others.wire.write('send 5')
      await others.wire.until(/!/)
      others.wire.destroy()
    })

  test('sends and receives by limits of their own', async () => {
    const mine = 'spiffe://mesh.example/ns/shop/sa/either'
    const of = (limits: Limits) => ({ rules: [{ ...rules(limits).rules[0]!, workloads: [mine] }] })
    await rig.reload(of({ maxBytesOutPerDay: 1000 }))
    const tunnel = await open(mine)
    tunnel.wire.write('send 500000')
    await tunnel.wire.until(/!/) // so much the other way is nothing to it
    tunnel.wire.destroy()
    await endOf(tunnel.decisionId)
    assert.equal(await ask(mine), '200 none')
    await rig.reload(of({ maxBytesInPerDay: 1000 }))
    assert.equal(await ask(mine), '429 bytes-exceeded')
  })

  test('keeps a tunnel so long, and silent so long', async () => {
    await rig.reload(rules({ tunnelSeconds: 1 }))
    assert.equal(await endOf((await open(shop)).decisionId), 'life-over')
    await rig.reload(rules({ idleSeconds: 1 }))
    assert.equal(await endOf((await open(shop)).decisionId), 'idle')
  })
})

test('the first time that a workload goes somewhere is marked, for each by itself', async () => {
  const mine = 'spiffe://mesh.example/ns/shop/sa/new'
  await rig.reload({ rules: [{ ...rules().rules[0]!, workloads: [mine, `${mine}-2`] }] })
  const firsts: (true | undefined)[] = []
  for (const as of [mine, mine, `${mine}-2`]) {
    const { wire, decisionId } = await open(as)
    wire.destroy()
    await endOf(decisionId)
    const opened = await rig.recordOf(
      (event) => event.decisionId === decisionId && event.egress?.phase === 'opened',
    )
    firsts.push(opened.egress?.isFirst)
  }
  assert.deepEqual(firsts, [true, undefined, true])
})

test('nothing of this was a bug of ours', () => assert.deepEqual(rig.bugs, []))
