import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect as connectH2 } from 'node:http2'
import { Agent, request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { exportJWK, SignJWT } from 'jose'
import type { AuditEvent, AuditSink } from '#contract/audit-event'
import { systemSleep } from '#contract/clock'
import { admitted, refuse } from '#contract/problem'
import { noLog, type Log } from '#contract/telemetry'
import { tokenExchangeGrant, tokenTypes, type X509SvidAnswer } from '#contract/token-exchange'
import { formatFaults, loadConfig } from '#config/load'
import { decidingPorts } from '#exchange/main'
import { runExchange, type RunningExchange } from '#exchange/run'
import { createCsr } from '#identity/svid/csr'
import { prometheusSink } from '#plugins/prometheus/sink'
import { exchangeId, gateway, orders } from './fixtures.ts'

export const issuer = 'https://idp.example'
export const exchangeIssuer = 'https://exchange.example:8444'

export type ClientCertificate = { readonly cert: string; readonly key: string }
export type Answer = {
  readonly status: number
  readonly headers: NodeJS.Dict<string | string[]>
  readonly body: Buffer
  readonly json: () => Record<string, unknown>
}

export type TestExchange = RunningExchange & {
  readonly folder: string
  readonly records: AuditEvent[]
  /** Waits for a record: it is written once the answer is out, which whoever asked may have read by then. */
  readonly recorded: (count: number) => Promise<void>
  /** A token of the outside issuer. */
  readonly subjectToken: (claims?: Record<string, unknown>) => Promise<string>
  readonly ask: (question: Question) => Promise<Answer>
  /** `POST /token` by a gateway, well-formed but for what is given. */
  readonly exchangeToken: (
    form: Record<string, string>,
    client?: ClientCertificate,
  ) => Promise<Answer>
  /** The first certificate of the gateway, by its join token. */
  readonly join: () => Promise<ClientCertificate>
  readonly joinToken: () => Promise<string>
  readonly setAuditReady: (isReady: boolean) => void
  readonly passTime: (ms: number) => void
  readonly stop: () => Promise<void>
}

export type Question = {
  readonly method?: string
  readonly path: string
  readonly headers?: Record<string, string>
  readonly body?: string | Buffer
  readonly client?: ClientCertificate
  readonly agent?: Agent
}

/** A real exchange on free ports: real listeners, keys, issuer, configuration; only the clock can be moved. */
export const startTestExchange = async (
  more: Record<string, unknown> = {},
  log: Log = noLog,
): Promise<TestExchange> => {
  const { folder, config, idp } = await configuredFolder(more)

  const records: AuditEvent[] = []
  const writing = new EventEmitter().setMaxListeners(0)
  let isAuditReady = true
  const audit: AuditSink = {
    write: (event) => {
      records.push(event)
      writing.emit('record')
    },
    ready: () => (isAuditReady ? admitted : refuse('audit-unavailable', { cause: 'disk full' })),
    close: async () => {},
  }
  let aheadMs = 0
  const { meter, scrape } = prometheusSink()
  const shared = {
    clock: () => Date.now() + aheadMs,
    sleep: systemSleep,
    randomBytes,
    meter,
    log,
  }
  const deciding = await decidingPorts(config, shared)
  const running = await runExchange(config, {
    ...shared,
    ...deciding,
    uptimeMs: () => performance.now(),
    audit,
    metrics: scrape,
    close: deciding.close,
  })

  const recorded = async (count: number): Promise<void> => {
    while (records.length < count) await once(writing, 'record')
  }
  const ask = async (question: Question): Promise<Answer> => {
    const before = records.length
    const answer = await askHttps(running, question)
    if (question.method === 'POST' && answer.status !== 404) await recorded(before + 1)
    return answer
  }
  const joinToken = async () => (await readFile(join(folder, 'join-token'), 'utf8')).trim()
  return {
    ...running,
    folder,
    records,
    recorded,
    subjectToken: (claims = {}) => {
      const iat = Math.floor(Date.now() / 1000)
      return new SignJWT({ iss: issuer, sub: 'alice', aud: 'edge', iat, exp: iat + 600, ...claims })
        .setProtectedHeader({ alg: 'ES256', kid: 'k1', typ: 'JWT' })
        .sign(idp.privateKey)
    },
    ask,
    exchangeToken: (form, client) =>
      ask({
        method: 'POST',
        path: '/token',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: questionForm(form),
        ...(client ? { client } : {}),
      }),
    joinToken,
    join: async () => {
      const { key, csr } = newRequest()
      const answer = await askForSvid(ask, csr, { authorization: `Bearer ${await joinToken()}` })
      assert.equal(answer.status, 200, answer.body.toString())
      return { cert: svidIn(answer).x509_svid, key }
    },
    setAuditReady: (isReady) => {
      isAuditReady = isReady
    },
    passTime: (ms) => {
      aheadMs += ms
    },
    stop: async () => {
      await running.close()
      await rm(folder, { recursive: true })
    },
  }
}

/** A folder with a configuration, and the outside issuer's keys in it. */
export const configuredFolder = async (more: Record<string, unknown> = {}) => {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-exchange-'))
  const idp = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = { ...(await exportJWK(idp.publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }
  await writeFile(join(folder, 'jwks.json'), JSON.stringify({ keys: [jwk] }))
  await writeFile(join(folder, 'exchange.yaml'), JSON.stringify({ ...baseConfig, ...more }))
  const loaded = await loadConfig('exchange', join(folder, 'exchange.yaml'), {})
  if (!loaded.ok) throw new Error(formatFaults(loaded.faults))
  return { folder, config: loaded.config, idp }
}

/** A question at the token endpoint, for a JWT-SVID unless it says otherwise. */
export const questionForm = (form: Record<string, string>): string =>
  new URLSearchParams({
    grant_type: tokenExchangeGrant,
    subject_token_type: tokenTypes.jwt,
    requested_token_type: tokenTypes.jwt,
    audience: orders,
    ...form,
  }).toString()

/** A connection of HTTP/2. */
export const overHttp2 = async (
  { exchange, roots }: Pick<TestExchange, 'exchange' | 'roots'>,
  client?: ClientCertificate,
) => {
  const socket = connectTls({
    host: '127.0.0.1',
    port: exchange.port,
    ca: roots(),
    ALPNProtocols: ['h2'],
    ...client,
  })
  await once(socket, 'secureConnect')
  const over = connectH2('https://localhost', { createConnection: () => socket })
  over.on('error', () => {})
  return { over, socket }
}

export const svidIn = (answer: Answer): X509SvidAnswer => answer.json() as X509SvidAnswer

export const newRequest = () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    csr: createCsr(privateKey),
  }
}

export const askForSvid = (
  ask: TestExchange['ask'],
  csr: string | Buffer,
  headers: Record<string, string> = {},
  client?: ClientCertificate,
): Promise<Answer> =>
  ask({
    method: 'POST',
    path: '/svid/x509',
    headers: { 'content-type': 'application/pkcs10', ...headers },
    body: csr,
    ...(client ? { client } : {}),
  })

const baseConfig = {
  version: 1,
  trustDomain: 'mesh.example',
  spiffeId: exchangeId,
  issuer: exchangeIssuer,
  issuers: {
    corp: { issuer, audiences: ['edge'], jwksFile: 'jwks.json', minRemainingSeconds: 0 },
  },
  identities: [
    {
      name: 'people',
      issuer: 'corp',
      match: { aud: 'edge' },
      spiffeId: 'spiffe://mesh.example/user/{sub}',
    },
  ],
  listeners: { exchange: { port: 0 }, admin: { port: 0 } },
  gateways: [gateway],
  audiences: ['https://orders.example.com'],
  joinTokens: [{ spiffeId: gateway, file: 'join-token', lifetimeSeconds: 600 }],
  drainSeconds: 1,
}

const askHttps = (
  { exchange, roots }: RunningExchange,
  { method = 'GET', path, headers = {}, body, client, agent }: Question,
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const request = httpsRequest(
      {
        host: '127.0.0.1',
        port: exchange.port,
        method,
        path,
        headers: {
          ...headers,
          ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
        },
        ca: roots(),
        agent: agent ?? false,
        ...client,
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const whole = Buffer.concat(chunks)
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: whole,
            json: () => JSON.parse(whole.toString()) as Record<string, unknown>,
          })
        })
      },
    )
    request.on('error', reject)
    request.end(body)
  })
