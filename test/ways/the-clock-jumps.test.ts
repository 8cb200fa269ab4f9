import assert from 'node:assert/strict'
import { after, test } from 'node:test'

/* The clock of this machine: of gateway, exchange and service alike. Set before anybody takes hold of it. */
let aheadMs = 0
const realNow = Date.now
Date.now = () => realNow() + aheadMs
const { startLoad } = await import('./load.ts')
const { eventually, meshRig, openRoute, tokenRoute } = await import('./rig.ts')

const rig = await meshRig()
after(rig.close)
const identities: { readonly iat: number; readonly nbf?: number; readonly exp: number }[] = []
const atService: number[] = []
const service = await rig.service((req, res) => {
  const [, payload] = (req.headers.authorization ?? '').split('.')
  if (payload !== undefined) {
    identities.push(JSON.parse(Buffer.from(payload, 'base64url').toString()))
    atService.push(Date.now() / 1000)
  }
  res.end('yes')
})
const exchange = await rig.exchange()
const gateway = await rig.gateway('gateway', {
  exchangePort: exchange.exchange.port,
  exchangeTimeoutMs: 10_000,
  upstreams: { service: { endpoints: [service.url], spiffeId: 'spiffe://mesh.test/service' } },
  routes: [tokenRoute('mine', '/mine'), openRoute('open', '/open')],
})

const answerTo = async (token: string) => {
  const { status, headers } = await gateway.ask('/mine/1', {
    headers: { authorization: `Bearer ${token}` },
  })
  return String(headers['x-sallyport-problem'] ?? status)
}

test('forwards and back: tokens are judged by the clock as it is, identities are good when they are used, and nothing stands still', async (t) => {
  const load = startLoad({
    port: gateway.port,
    ca: gateway.ca,
    path: '/open/1',
    callers: 2,
    pauseMs: 20,
  })
  t.after(load.stop)
  const short = rig.token({ sub: 'short' })
  const long = rig.token({ sub: 'long' }, 3000)
  assert.deepEqual([await answerTo(short), await answerTo(long)], ['200', '200'])

  for (const minutes of [30, 0, -30, 0]) {
    aheadMs = minutes * 60_000
    const expected = {
      30: ['token-expired', '200'],
      [-30]: ['token-not-yet-valid', 'token-not-yet-valid'],
    }[minutes] ?? ['200', '200']
    assert.deepEqual([await answerTo(short), await answerTo(long)], expected, `${minutes} min`)
    assert.equal(await answerTo(rig.token({ sub: `new-${minutes}` })), '200')
    const soFar = load.answered()
    await eventually(() => (load.answered() > soFar + 10 ? true : undefined))
  }

  await load.stop()
  assert.deepEqual([load.lost, Object.keys(load.statuses)], [[], ['200']])
  const records = () => gateway.records().filter(({ request }) => request?.path === '/open/1')
  await eventually(() => (records().length >= load.answered() ? true : undefined))
  assert.equal(records().length, load.answered())
  const skewSeconds = 60
  for (const [i, { iat, nbf = iat, exp }] of identities.entries()) {
    const now = atService[i] ?? 0
    assert.ok(exp > now, `identity ${i} had ended`)
    assert.ok(nbf < now + skewSeconds, `identity ${i} was good only ${nbf - now} s later`)
  }
  assert.ok(identities.length > 5)
})
