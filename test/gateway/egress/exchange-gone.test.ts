// The exchange dies while many ask: what was known goes on, and nothing is allowed or uninspected that was not before.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { secret } from '#contract/secret'
import { runDestination, runInspectionRig } from './inspection-rig.ts'
import { certificates, refusalOf } from './rig.ts'

const certs = certificates()
const got: (string | undefined)[] = []
const destination = await runDestination(
  certs.outside('DNS:known.test, DNS:new.test, DNS:key.test'),
  (req, res) => {
    got.push(req.headers.host)
    res.end('fine')
  },
)
const { port } = destination
const inspected = {
  ports: [port],
  protocol: 'tls-inspected' as const,
  opens: ['127.0.0.0/8'],
}
const hosts = ['known.test', 'new.test', 'key.test', 'other.test'] as const
const rig = await runInspectionRig(certs, hosts, {
  rules: [
    {
      id: 'shop',
      destinations: [
        { ...inspected, hosts: ['known.test', 'new.test'], paths: ['/open'] },
        { ...inspected, hosts: ['key.test'], credential: 'key' },
      ],
    },
  ],
  more: {
    credentials: {
      key: { kind: 'bearer', token: secret('tok_live_0123456789'), scanBytes: 65_536 },
    },
  },
})
for (const name of hosts) rig.dns.set(name, [{ type: 'A', address: '127.0.0.1' }])

/** What is said to one request in a tunnel of its own; to its CONNECT, where that is refused. */
const ask = async (host: string, path = '/open'): Promise<string> => {
  const place = `${host}:${port}`
  const { answer, tls } = await rig.tunnelTo(place)
  if (!tls) return refusalOf(answer)
  const text = await new Promise<string>((resolve) => {
    let all = ''
    tls.once('secureConnect', () => {
      assert.equal(tls.getPeerCertificate().issuer.CN === 'outside', false, 'it was not inspected')
      tls.write(`GET ${path} HTTP/1.1\r\nHost: ${place}\r\nConnection: close\r\n\r\n`)
    })
    tls.on('data', (chunk: Buffer) => (all += chunk.toString('latin1')))
    tls.once('close', () => resolve(all))
  })
  tls.destroy()
  return refusalOf({ status: Number(text.slice(9, 12)), head: text })
}

test(
  'while many ask the exchange dies: known hosts are inspected on, all others are refused as before or for want of it',
  { timeout: 120_000 },
  async () => {
    for (const host of ['known.test', 'key.test']) await ask(host)
    const [fine, gone] = ['200 none', '503 inspection-unavailable']
    const right: Readonly<Record<string, readonly [before: string, after: string]>> = {
      'known.test /open': [fine, fine],
      'key.test /open': [fine, fine],
      'known.test /other': ['403 destination-denied', '403 destination-denied'],
      'other.test /open': ['403 destination-denied', '403 destination-denied'],
    }
    const asked = Object.keys(right)
    const seen = { before: 0, after: 0, wrong: [] as string[] }
    let isGone = false
    const worker = async (first: number) => {
      for (let turn = first; seen.after < 40 && seen.wrong.length === 0; turn += 1) {
        const what = asked[turn % asked.length] ?? ''
        const [host = '', path = ''] = what.split(' ')
        const wasGone = isGone
        const said = await ask(host, path)
        if (said !== right[what]?.[wasGone ? 1 : 0]) seen.wrong.push(`${what}: ${said}`)
        seen[wasGone ? 'after' : 'before'] += 1
      }
    }
    const working = Promise.all([0, 1, 2, 3].map(worker))
    while (seen.before < 20 && seen.wrong.length === 0)
      await new Promise((resolve) => setTimeout(resolve, 5))
    await rig.stopExchange()
    isGone = true
    assert.equal(await ask('new.test'), gone)
    await working
    assert.deepEqual(seen.wrong, [])
    assert.ok(seen.before >= 20 && seen.after >= 40)
    assert.ok(!got.some((host) => /new|other/.test(host ?? '')))
    assert.deepEqual(rig.bugs, [])
  },
)
