import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AuditEvent } from '#contract/audit-event'
import { runHttps } from '#test/fakes/https-server'
import { certificates, refusalOf, runRig, shop } from './rig.ts'

const certs = certificates()
const api = await runHttps(certs.outside('DNS:api.test, DNS:other.test'), (_req, res) =>
  res.end('hello'),
)
after(api.close)
const rig = await runRig(certs, {
  rules: [
    {
      id: 'shop',
      destinations: [{ hosts: ['api.test'], ports: [api.port], opens: ['127.0.0.0/8'] }],
    },
  ],
})
const destination = { hosts: ['api.test'], ports: [api.port], opens: ['127.0.0.0/8'] }
const place = `api.test:${api.port}`
const isClosed = (decisionId: string) => (event: AuditEvent) =>
  event.decisionId === decisionId && event.egress?.phase === 'closed'
const openTls = async () => {
  const { wire, answer } = await rig.connect(place)
  assert.equal(answer.status, 200)
  const tls = connectTls({ socket: wire.socket, servername: 'api.test', ca: certs.outsideRoot.pem })
  tls.on('error', () => {})
  await once(tls, 'secureConnect')
  return { tls, decisionId: /x-sallyport-decision-id: (\S+)/.exec(answer.head)?.[1] ?? '' }
}
rig.dns.set('api.test', [{ type: 'A', address: '127.0.0.1' }])

test('a workload gets through to a host of its rule', async () => {
  const { wire, answer } = await rig.connect(`api.test:${api.port}`)
  assert.equal(answer.status, 200)
  const tls = connectTls({ socket: wire.socket, servername: 'api.test', ca: certs.outsideRoot.pem })
  await once(tls, 'secureConnect')
  tls.write('GET / HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n')
  const [chunk] = (await once(tls, 'data')) as [Buffer]
  assert.match(chunk.toString(), /200 OK/)
  tls.destroy()
  const opened = await rig.recordOf(({ egress }) => egress?.phase === 'opened')
  const closed = await rig.recordOf(({ egress }) => egress?.phase === 'closed')
  assert.equal(opened.decisionId, closed.decisionId)
  assert.equal(opened.spiffeId, shop)
  assert.equal(closed.egress?.serverName, 'match')
  assert.equal(closed.egress?.dialled, '127.0.0.1')
  assert.ok(closed.bytesIn > 0 && closed.bytesOut > 0)
  assert.deepEqual(rig.bugs, [])
})

test('a host that is not listed is refused, and the answer says by which rule', async () => {
  const { answer } = await rig.connect('evil.test:443')
  assert.equal(refusalOf(answer), '403 destination-denied')
  assert.match(answer.json().detail, /rule `shop` does not list this host/)
})

test('a workload has no more tunnels open than its rule lets it have', async () => {
  await rig.reload({
    rules: [{ id: 'shop', destinations: [destination], limits: { maxTunnels: 1 } }],
  })
  const first = await rig.connect(place)
  const second = await rig.connect(place)
  assert.equal(refusalOf(second.answer), '429 tunnels-exceeded')
  second.wire.destroy()
  first.wire.destroy()
  for (let i = 0; i < 100 && rig.live.size() > 0; i += 1) await sleep(10)
  const third = await rig.connect(place)
  assert.equal(third.answer.status, 200)
  third.wire.destroy()
})

test('a tunnel that is silent for too long ends, and its record says so', async () => {
  await rig.reload({
    rules: [{ id: 'shop', destinations: [destination], limits: { idleSeconds: 1 } }],
  })
  const { tls, decisionId } = await openTls()
  await once(tls, 'close')
  const { egress } = await rig.recordOf(isClosed(decisionId))
  assert.equal(egress?.closedBy, 'idle')
})

test('a reload changes what may be opened, and ends nothing that is open', async () => {
  const { tls, decisionId } = await openTls()
  await rig.reload({ rules: [{ id: 'shop', destinations: [] }] })
  assert.equal(refusalOf((await rig.connect(place)).answer), '403 destination-denied')
  tls.write('GET / HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n')
  assert.match(String((await once(tls, 'data'))[0]), /200 OK/)
  tls.destroy()
  await rig.recordOf(isClosed(decisionId))
})

test('a configuration that cannot be built changes nothing', async () => {
  const broken = { rules: [{ id: 'shop', destinations: [{ hosts: ['*.test'] }] }] }
  await assert.rejects(rig.reload(broken), /top-level domain/)
  assert.equal(refusalOf((await rig.connect(place)).answer), '403 destination-denied')
})

test('what is cut off ends at once, its tunnels too', async () => {
  await rig.reload({ rules: [{ id: 'shop', destinations: [destination] }] })
  const { tls, decisionId } = await openTls()
  assert.equal(
    rig.live.sweep(() => ({ tag: 'quarantined' })),
    1,
  )
  await once(tls, 'close')
  const { problem, egress } = await rig.recordOf(isClosed(decisionId))
  assert.deepEqual([problem, egress?.closedBy], ['quarantined', 'cut'])
})

test('in report mode what is not listed gets through, and the record says what it was', async () => {
  rig.dns.set('unlisted.test', [{ type: 'A', address: '10.0.0.1' }])
  await rig.reload({ rules: [{ id: 'shop', mode: 'report', destinations: [] }] })
  // Addresses stay judged: only the list is relaxed.
  assert.equal(refusalOf((await rig.connect('unlisted.test:443')).answer), '403 address-denied')
  const { egress } = await rig.recordOf((event) => event.egress?.host === 'unlisted.test')
  assert.deepEqual([egress?.mode, egress?.wouldRefuse], ['report', 'not-listed'])
  assert.equal(refusalOf((await rig.connect('unlisted.test:22')).answer), '403 destination-denied')
})

for (const by of [
  { kind: 'spiffe-id', spiffeId: shop },
  { kind: 'address', network: '127.0.0.0/8' },
])
  test(`a workload cut off by ${by.kind} loses its tunnel and its idle connection, and gets no other`, async () => {
    await rig.reload({ rules: [{ id: 'shop', destinations: [destination] }] })
    const { tls, decisionId } = await openTls()
    const idle = await rig.dialProxy(shop)
    const ended = [once(tls, 'close')]
    if (by.kind === 'address') ended.push(once(idle.socket, 'close')) // nobody has said a name on it
    const added = await rig.quarantine.add({ by, reason: 'test', actor: 'tester' })
    assert.ok(added.ok)
    await Promise.all(ended)
    const closed = await rig.recordOf(isClosed(decisionId))
    assert.deepEqual(
      [closed.outcome, closed.problem, closed.quarantine?.id],
      ['refused', 'quarantined', added.value.entry.id],
    )
    const { wire, answer } = await rig.connect(place)
    assert.equal(refusalOf(answer), '403 quarantined')
    const lifted = await rig.quarantine.lift(added.value.entry.id)
    assert.ok(lifted.ok)
    const again = await rig.connect(place)
    assert.equal(again.answer.status, 200)
    for (const one of [idle, wire, again.wire]) one.destroy()
  })

test('a resolver that is silent is a timeout, and one that fails a failure: nothing is let through', async () => {
  await rig.reload({ rules: [{ id: 'shop', destinations: [destination] }] })
  for (const [answer, refusal] of [
    ['silence', '504 destination-timeout'],
    ['SERVFAIL', '502 destination-unresolved'],
    ['NXDOMAIN', '502 destination-unresolved'],
  ] as const) {
    rig.dns.set('api.test', answer)
    await rig.reload({
      rules: [{ id: 'shop', destinations: [destination] }],
      dns: { cacheEntries: 100 + answer.length }, // a resolver that remembers nothing
    })
    assert.equal(refusalOf((await rig.connect(place)).answer), refusal, answer)
  }
})
