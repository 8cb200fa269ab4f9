// Rules change, names fail and workloads are cut off while many ask: nothing is let through that was not to be.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { certificates, refusalOf, runRig, shop } from './rig.ts'

const sockets = new Set<Socket>()
const destination = createServer((socket) => {
  sockets.add(socket)
  socket.on('error', () => {}).on('close', () => sockets.delete(socket))
})
await once(destination.listen(0, '127.0.0.1'), 'listening')
const { port } = destination.address() as AddressInfo
after(() => destination.close())

const hosts = ['a.lan', 'b.lan'] as const
type Host = (typeof hosts)[number]
const allowing = (host: Host) => ({
  rules: [
    {
      id: 'shop',
      destinations: [
        { hosts: [host], ports: [port], protocol: 'tcp' as const, opens: ['127.0.0.0/8'] },
      ],
    },
  ],
  dns: { maxTtlSeconds: 0 },
})
const rig = await runRig(certificates(), allowing('a.lan'))
for (const host of hosts) rig.dns.set(host, [{ type: 'A', address: '127.0.0.1' }])

const ask = async (host: Host) => {
  const { wire, answer } = await rig.connect(`${host}:${port}`)
  wire.destroy()
  return refusalOf(answer)
}
/** Asks for both hosts in turn, on `workers` connections, until it is over. */
const load = (workers: number, isOver: () => boolean, each: (host: Host) => Promise<void>) =>
  Promise.all(
    Array.from({ length: workers }, async (_, i) => {
      for (let turn = i; !isOver(); turn += 1) await each(hosts[turn % 2] ?? 'a.lan')
    }),
  )

test(
  'while rules are reloaded each answer is of rules that were in force when it was asked',
  { timeout: 60_000 },
  async () => {
    let generation = 0 // odd while a reload is under way
    let allowed: Host = 'a.lan'
    let isOver = false
    const seen = { right: 0, wrong: [] as string[] }
    const loading = load(
      6,
      () => isOver,
      async (host) => {
        const [before, mayGo] = [generation, allowed === host]
        const said = await ask(host)
        if (generation !== before || before % 2 === 1) return
        if (said === (mayGo ? '200 none' : '403 destination-denied')) seen.right += 1
        else seen.wrong.push(`${host}: ${said}`)
      },
    )
    for (let reload = 0; reload < 15; reload += 1) {
      // Not a time but answers are waited for: a slow machine then takes longer, and checks as much.
      const enough = seen.right + 8
      while (seen.right < enough && seen.wrong.length === 0) await sleep(5)
      generation += 1
      const next: Host = allowed === 'a.lan' ? 'b.lan' : 'a.lan'
      await rig.reload(allowing(next))
      allowed = next
      generation += 1
    }
    isOver = true
    await loading
    assert.deepEqual(seen.wrong, [])
  },
)

test('when the name server dies under load nobody gets through by what was known before', async () => {
  await rig.reload(allowing('a.lan'))
  let isDead = false
  const seen = { before: 0, after: 0, wrong: [] as string[] }
  await load(
    6,
    () => seen.after > 40 || seen.wrong.length > 0,
    async (host) => {
      const wasDead = isDead
      const said = await ask(host)
      const right =
        host === 'b.lan'
          ? ['403 destination-denied']
          : wasDead
            ? ['502 destination-unresolved']
            : ['200 none', ...(isDead ? ['502 destination-unresolved'] : [])]
      if (!right.includes(said)) seen.wrong.push(`${host}: ${said}`)
      seen[wasDead ? 'after' : 'before'] += 1
      if (seen.before < 20 || isDead) return
      isDead = true
      rig.dns.set('a.lan', 'SERVFAIL')
    },
  )
  assert.deepEqual(seen.wrong, [])
  assert.ok(seen.before >= 20)
  rig.dns.set('a.lan', [{ type: 'A', address: '127.0.0.1' }])
})

test('of a workload that is cut off no tunnel stays open, nor one that was just being opened', async () => {
  const open: Awaited<ReturnType<typeof rig.connect>>[] = []
  for (let i = 0; i < 30; i += 1) open.push(await rig.connect(`a.lan:${port}`))
  assert.ok(open.every(({ answer }) => answer.status === 200))
  const closed = open.map(({ wire }) => once(wire.socket, 'close'))
  let isOver = false
  let isCutOff = false
  const late: string[] = []
  const loading = load(
    6,
    () => isOver,
    async () => {
      const wasCutOff = isCutOff
      const said = await ask('a.lan').catch(() => 'closed')
      if (wasCutOff && said !== '403 quarantined') late.push(said)
    },
  )
  await sleep(50)
  const added = await rig.quarantine.add({
    by: { kind: 'spiffe-id', spiffeId: shop },
    reason: 'test',
    actor: 'tester',
  })
  isCutOff = true
  assert.ok(added.ok)
  await Promise.all(closed)
  await sleep(200)
  isOver = true
  await loading
  assert.deepEqual(late, [])
  for (let i = 0; i < 100 && (rig.live.size() > 0 || sockets.size > 0); i += 1) await sleep(20)
  assert.deepEqual([rig.live.size(), rig.tunnels(), sockets.size, rig.bugs], [0, 0, 0, []])
})
