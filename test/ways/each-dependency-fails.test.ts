import assert from 'node:assert/strict'
import { renameSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:https'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { after, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { newSigningKey } from '#test/fakes/token-maker'
import { needsRedis, startRedis } from '#test/ports/redis-server'
import { faultyProxy, type Fault, type FaultyProxy } from './faulty-proxy.ts'
import { startLoad } from './load.ts'
import { askAt, eventually, ids, meshRig, openRoute, recordsIn, tokenRoute } from './rig.ts'

const withRedis = !needsRedis.skip
const rig = await meshRig()
after(rig.close)
const proxies: FaultyProxy[] = []
after(() => Promise.all(proxies.map((proxy) => proxy.close())))
const before = async (target: number) => {
  const proxy = await faultyProxy(target)
  proxies.push(proxy)
  return proxy
}

const redisServer = withRedis ? await startRedis() : undefined
after(() => redisServer?.stop())
const service = await rig.service((_req, res) => void res.end('yes'))
const other = await rig.service((_req, res) => void res.end('other'))
const exchange = await rig.exchange()
const idpCertificate = await rig.outside.issue('idp')
const idp = createServer(
  { cert: idpCertificate.certificate, key: idpCertificate.privateKey },
  (_req, res) => void res.end(rig.jwks()),
).listen(0, '127.0.0.1')
await once(idp, 'listening')
after(() => {
  idp.closeAllConnections()
  idp.close()
})

const dependencies = {
  redis: await before(redisServer?.port ?? 1),
  exchange: await before(exchange.exchange.port),
  'identity provider': await before((idp.address() as AddressInfo).port),
  service: await before(service.port),
}
const auditFile = rig.at('records')
symlinkSync(rig.save('records-1', ''), auditFile)
const gateway = await rig.gateway('gateway', {
  exchangePort: dependencies.exchange.port,
  exchangeTimeoutMs: 500,
  issuers: {
    outside: {
      ...rig.issuer,
      jwksFile: undefined,
      jwksUrl: `https://localhost:${dependencies['identity provider'].port}/jwks`,
      caFile: rig.save('outside-root.pem', rig.outside.root),
      refreshSeconds: 10,
    },
  },
  limits: {
    address: { points: 1_000_000 },
    ...(redisServer && {
      store: {
        redis: {
          url: { file: rig.save('redis-url', `redis://127.0.0.1:${dependencies.redis.port}`) },
          timeoutMs: 50,
        },
      },
    }),
  },
  upstreams: {
    service: {
      endpoints: [`https://127.0.0.1:${dependencies.service.port}`],
      spiffeId: ids.service,
      headersTimeoutMs: 400,
      connectTimeoutMs: 400,
    },
    other: { endpoints: [other.url], spiffeId: ids.service },
  },
  routes: [tokenRoute('mine', '/mine'), openRoute('other', '/other', { upstream: 'other' })],
  audit: { file: auditFile, whenUnwritable: 'refuse' },
})
const known = `Bearer ${rig.token()}`
const ask = (path: string, authorization = known) =>
  askAt(gateway.port, gateway.ca, path, { headers: { host: 'localhost', authorization } })
const answerOf = async (...given: Parameters<typeof ask>) => {
  const { status, headers } = await ask(...given)
  asked += 1
  return String(headers['x-sallyport-problem'] ?? status)
}
let asked = 0
const unhandled: unknown[] = []
process.on('unhandledRejection', (cause) => unhandled.push(cause))

/** What is answered while one thing is away. The README's table says the same in words. */
type Row = {
  readonly what: keyof typeof dependencies
  /** To a caller who was there before. */
  readonly known: Readonly<Record<Exclude<Fault, 'none'>, readonly string[]>>
  /** To somebody new. */
  readonly new?: () => string
  readonly newGets?: readonly string[]
}
const goesOn = ['200']
const rows: readonly Row[] = [
  { what: 'redis', known: { killed: goesOn, hanging: goesOn, corrupt: goesOn } },
  {
    what: 'exchange',
    known: { killed: goesOn, hanging: goesOn, corrupt: goesOn },
    new: () => rig.token({ sub: `new-${asked}` }),
    newGets: ['identity-unavailable'],
  },
  {
    what: 'identity provider',
    known: { killed: goesOn, hanging: goesOn, corrupt: goesOn },
    new: () => rig.token({}, 300, newSigningKey(`unknown-${asked}`)),
    newGets: ['issuer-unavailable'],
  },
  {
    what: 'service',
    known: {
      killed: ['upstream-unreachable', 'upstream-broken'],
      hanging: ['upstream-timeout', 'upstream-unreachable'],
      // Rubbish may look like the beginning of something that never ends.
      corrupt: ['upstream-unreachable', 'upstream-broken', 'upstream-timeout'],
    },
  },
]
/** No request may take longer, whatever hangs. */
const longestAllowedMs = 4000

const load = startLoad({
  port: gateway.port,
  ca: gateway.ca,
  path: '/other',
  callers: 2,
  pauseMs: 20,
})
await eventually(async () => ((await answerOf('/mine')) === '200' ? true : undefined))

for (const row of rows)
  suite(row.what, { skip: row.what === 'redis' && !withRedis }, () => {
    for (const fault of ['killed', 'hanging', 'corrupt'] as const)
      test(`${fault}: what goes on goes on, what does not is refused with its reason, then all is well again`, async () => {
        const proxy = dependencies[row.what]
        await proxy.set(fault)
        const began = performance.now()
        const answers: string[] = []
        for (let i = 0; i < 6; i += 1) {
          answers.push(await answerOf('/mine'))
          if (row.new)
            assert.ok(row.newGets?.includes(await answerOf('/mine', `Bearer ${row.new()}`)))
          await sleep(50)
        }
        assert.ok(performance.now() - began < 12 * longestAllowedMs)
        const unexpected = answers.filter((answer) => !row.known[fault].includes(answer))
        assert.deepEqual(unexpected, [], answers.join())
        await proxy.set('none')
        await eventually(
          async () => ((await answerOf('/mine')) === '200' ? true : undefined),
          60_000,
        )
      })
  })

suite('the disk of the records', () => {
  test('full: nothing goes through unrecorded; then all is well again, and every refusal is recorded', async () => {
    const pointAt = (file: string) => {
      symlinkSync(file, `${auditFile}.next`)
      renameSync(`${auditFile}.next`, auditFile)
      gateway.reopenRecords()
    }
    pointAt('/dev/full')
    await eventually(async () =>
      (await answerOf('/other')) === 'audit-unavailable' ? true : undefined,
    )
    assert.equal((await fetch(`http://127.0.0.1:${gateway.admin.port}/readyz`)).status, 503)
    pointAt(rig.save('records-2', ''))
    await eventually(async () => ((await answerOf('/other')) === '200' ? true : undefined), 60_000)
  })
})

test('every answer was recorded once, nobody waited, nothing was left unhandled', async () => {
  await load.stop()
  const counted = () =>
    [rig.at('records-1'), rig.at('records-2')].flatMap((file) => recordsIn(file))
  await eventually(() => (counted().length >= load.answered() + asked ? true : undefined))
  assert.equal(counted().length, load.answered() + asked)
  assert.deepEqual(load.lost, [])
  assert.deepEqual(
    Object.keys(load.statuses).filter((status) => status !== '200' && status !== '503'),
    [],
  )
  assert.ok((load.statuses['200'] ?? 0) > 50)
  assert.ok(load.longestMs() < longestAllowedMs, `${load.longestMs()} ms`)
  assert.deepEqual(unhandled, [])
  const figures = await gateway.metrics()
  if (withRedis)
    for (const store of ['redis', 'fallback'])
      assert.match(figures, new RegExp(`sallyport_limit_decisions_total{.*store="${store}"} [1-9]`))
  console.log(
    `  ${counted().length} records of as many answers; the longest took ${Math.round(load.longestMs())} ms`,
  )
})
