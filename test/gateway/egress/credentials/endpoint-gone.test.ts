// Who makes tokens for what goes out dies: nothing goes out without one, what is still good is used on, and all of it comes back by itself.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { after, suite, test } from 'node:test'
import { secret } from '#contract/secret'
import type { SpiffeId } from '#contract/spiffe-id'
import { exchangeClient } from '#gateway/exchange-client'
import { undiciClient } from '#gateway/upstream/undici-client'
import { startTestExchange } from '#test/exchange/running-exchange'
import { runHttps } from '#test/fakes/https-server'
import { certificates, exchangeId, gatewayId, refusalOf, runRig } from '../rig.ts'
import { aPathForEach } from './a-path-for-each.ts'

/** Before a server: what can die as `refuses` or `is silent`, and come back at the same port. */
const mortal = async (behind: number) => {
  const sockets = new Set<Socket>()
  let server: Server
  const listen = async (port: number, isSilent: boolean) => {
    server = createServer((socket) => {
      const other = isSilent ? undefined : connect(behind, '127.0.0.1')
      for (const one of other ? [socket, other] : [socket]) {
        sockets.add(one)
        one.on('error', () => {}).on('close', () => sockets.delete(one))
      }
      if (other) socket.pipe(other).pipe(socket)
      else socket.resume()
    }).listen(port, '127.0.0.1')
    await once(server, 'listening')
  }
  const stop = async () => {
    const closed = once(server, 'close')
    server.close()
    for (const socket of sockets) socket.destroy()
    await closed
  }
  await listen(0, false)
  const { port } = server!.address() as AddressInfo
  let isListening = true
  const become = async (isThere: boolean, isSilent: boolean) => {
    if (isListening) await stop()
    isListening = isThere
    if (isThere) await listen(port, isSilent)
  }
  return {
    port,
    refuse: () => become(false, false),
    fallSilent: () => become(true, true),
    revive: () => become(true, false),
  }
}

const certs = certificates()
const audience = 'https://orders.example.com'
const exchange = await startTestExchange()
const own = await exchange.join()
const lifeSeconds = 60
const seen: string[] = []
const api = await runHttps(certs.outside('DNS:api.lan'), (req, res) => {
  seen.push(String(req.headers.authorization))
  res.end('fine')
})
let tokens = 0
const stsBehind = await runHttps(certs.outside('DNS:sts.lan'), (req, res) => {
  req.resume().on('end', () =>
    res.end(
      JSON.stringify({
        access_token: `sts-token-${(tokens += 1)}`,
        token_type: 'Bearer',
        expires_in: lifeSeconds,
      }),
    ),
  )
})
const sts = await mortal(stsBehind.port)
const mesh = await mortal(exchange.exchange.port)

const svid = {
  spiffeId: gatewayId as SpiffeId,
  certificateChain: own.cert,
  privateKey: secret(own.key),
  bundle: exchange.roots(),
  notBeforeMs: 0,
  notAfterMs: Number.POSITIVE_INFINITY,
}
const client = undiciClient({
  endpoint: `https://localhost:${mesh.port}`,
  expected: exchangeId as SpiffeId,
  svid,
  maxConnections: 2,
  connectTimeoutMs: 500,
})
after(async () => {
  await client.close()
  await Promise.all([sts.refuse(), mesh.refuse()])
  await Promise.all([exchange.stop(), api.close(), stsBehind.close()])
})

const opens = ['127.0.0.0/8']
const common = { scopes: [], clientAuthentication: 'basic' as const, opens, scanBytes: 65_536 }
const credentials = {
  client: {
    kind: 'client-credentials' as const,
    ...common,
    tokenUrl: `https://sts.lan:${sts.port}/token`,
    clientId: 'me',
    clientSecret: secret('a good secret'),
  },
  exchanged: {
    kind: 'token-exchange' as const,
    audience,
    tokenType: 'access-token' as const,
    scanBytes: 0,
  },
  'at-sts': {
    kind: 'token-exchange' as const,
    audience,
    tokenType: 'jwt-svid' as const,
    at: { ...common, tokenUrl: `https://sts.lan:${sts.port}/exchange` },
    scanBytes: 0,
  },
}
type Kind = keyof typeof credentials
let aheadMs = 0
const pass = (seconds: number) => {
  aheadMs += seconds * 1000
  exchange.passTime(seconds * 1000)
}
const rig = await runRig(certs, {
  rules: [aPathForEach(credentials, api.port, opens)],
  dns: { hosts: { 'api.lan': ['127.0.0.1'], 'sts.lan': ['127.0.0.1'] } },
  more: { credentials, connectTimeoutMs: 500 },
  exchangeUrl: exchange.urls.exchange,
  ports: {
    clock: () => Date.now() + aheadMs,
    ownSvid: { current: () => svid, onChange: () => () => {}, close: () => {} },
    mint: exchangeClient({ client: () => client, authority: 'exchange', timeoutMs: 500 }),
  },
})

/** A workload that nobody has seen, or one that is known, with a JWT-SVID of this moment. */
const svidOf = async (sub: string): Promise<string> => {
  const iat = Math.floor((Date.now() + aheadMs) / 1000)
  const subject = await exchange.subjectToken({ sub, iat, exp: iat + 600 })
  const answer = await exchange.exchangeToken({ subject_token: subject, audience: gatewayId }, own)
  assert.equal(answer.status, 200)
  return String(answer.json()['access_token'])
}
const ask = async (kind: Kind, token: string): Promise<string> => {
  const wire = await rig.dialProxy()
  wire.write(
    [
      `GET http://api.lan:${api.port}/${kind} HTTP/1.1`,
      `Host: api.lan:${api.port}`,
      `Proxy-Authorization: Bearer ${token}`,
      '',
      '',
    ].join('\r\n'),
  )
  const answer = await wire.answer()
  wire.destroy()
  return refusalOf(answer)
}
const lastCredential = () => rig.records.at(-1)?.egress?.credential
/** Long enough for the moments to be over for which a failure stands without asking anew, one after the other. */
const withinMs = 10_000
const until = async (kind: Kind, token: string, wanted: string) => {
  const endMs = performance.now() + withinMs
  let said = await ask(kind, token)
  while (said !== wanted && performance.now() < endMs) said = await ask(kind, token)
  assert.equal(said, wanted)
}
let users = 0
const alice = await svidOf('alice')
// The keys of JWT-SVIDs are fetched in the background.
while ((await ask('client', alice)) === '503 issuer-unavailable') await new Promise(setImmediate)

const unavailable = '503 credential-unavailable'
for (const [kind, needs] of [
  ['client', { 'the token endpoint': sts }],
  ['exchanged', { 'our exchange': mesh }],
  ['at-sts', { 'our exchange': mesh, "the destination's own": sts }],
] as const)
  for (const [name, one] of Object.entries(needs))
    for (const [how, die] of [
      ['refuses connections', one.refuse],
      ['is silent', one.fallSilent],
    ] as const)
      suite(`${kind}: ${name} ${how}`, () => {
        const sub = `user-${(users += 1)}`
        let token = ''
        test('what was fetched goes on, though it cannot be had anew', async () => {
          token = await svidOf(sub)
          await until(kind, token, '200 none')
          const first = seen.at(-1)
          await die()
          assert.equal(await ask(kind, token), '200 none')
          assert.equal(seen.at(-1), first)
          pass(lifeSeconds * 0.7) // when one is asked for in the background
          for (let i = 0; i < 3; i += 1) assert.equal(await ask(kind, token), '200 none')
          assert.equal(lastCredential()?.fromCache, true)
        })
        test('who needs another is refused by its tag and reason, and nothing goes out', async () => {
          // Not for long: once the exchange renews its certificate by its own clock, that is not yet good by the clock of TLS.
          pass(lifeSeconds)
          token = await svidOf(`${sub}-of-whom-nothing-is-kept`)
          const before = seen.length
          rig.records.length = 0
          for (let i = 0; i < 3; i += 1) assert.equal(await ask(kind, token), unavailable)
          assert.equal(seen.length, before)
          const record = await rig.recordOf(({ step }) => step === 'credential')
          assert.deepEqual(
            [record.status, record.problem, record.outcome],
            [503, 'credential-unavailable', 'failed'],
          )
          assert.match(
            record.cause ?? '',
            /ECONNREFUSED|timeout|no answer|within \d+ ms|failed a moment ago/i,
          )
          assert.equal(record.egress?.dialled, undefined)
          assert.ok(!JSON.stringify(rig.records).includes('sts-token'))
        })
        test('once it is back it is asked again', async () => {
          await one.revive()
          await until(kind, token, '200 none')
          assert.match(seen.at(-1) ?? '', /^Bearer \S{8,}/)
          assert.deepEqual(rig.bugs, [])
        })
      })
