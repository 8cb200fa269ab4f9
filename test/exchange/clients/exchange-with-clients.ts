import assert from 'node:assert/strict'
import {
  createHash,
  generateKeyPairSync,
  randomUUID,
  scryptSync,
  type KeyObject,
} from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exportJWK, SignJWT } from 'jose'
import { tokenExchangeGrant, tokenTypes } from '#contract/token-exchange'
import { orders } from '../fixtures.ts'
import {
  askForSvid,
  exchangeIssuer,
  newRequest,
  startTestExchange,
  svidIn,
  type Answer,
  type ClientCertificate,
  type TestExchange,
} from '../running-exchange.ts'

export const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
export const agentId = 'spiffe://mesh.example/user/agent'
export const batchApi = 'https://batch.example.com'
/** 32 random bytes as `sha256:` asks for, and one that a person chose, which is hard to compute instead. */
export const cronSecret = 'kQ2v7-9d:8f/4c+A1b%W0x5Zs3yGh6Jm'
export const mainframeSecret = 'Yq8TnV3rLw0cKz5HsXb2MfJd7PgUa9Ei'
export const typistSecret = 'correct horse battery staple'

export type ExchangeWithClients = TestExchange & {
  readonly batchKey: KeyObject
  /** A client assertion of `batch`, well-formed but for what is given. */
  readonly assertion: (
    claims?: Record<string, unknown>,
    header?: Record<string, unknown>,
    key?: KeyObject,
  ) => Promise<string>
  /** Certificate of the client `agent`. */
  readonly agent: ClientCertificate
  /** `POST` of a form. */
  readonly post: (
    path: string,
    form: Record<string, string>,
    more?: { headers?: Record<string, string>; client?: ClientCertificate },
  ) => Promise<Answer>
  /** A form for an access token for `orders`, by any client. */
  readonly form: (more?: Record<string, string>) => Promise<Record<string, string>>
}

/** An exchange with one client of each kind, which may exchange tokens of the outside issuer and of each other. */
export const startExchangeWithClients = async (
  more: Record<string, unknown> = {},
): Promise<ExchangeWithClients> => {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-clients-'))
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwksFile = join(folder, 'batch.json')
  const jwk = { ...(await exportJWK(publicKey)), kid: 'b1', alg: 'ES256' }
  await writeFile(jwksFile, JSON.stringify({ keys: [jwk] }))
  const exchange = await startTestExchange({
    clients: clientsWith(jwksFile),
    selfService: { issuers: ['corp'] },
    grants,
    ...more,
  })

  const { csr, key } = newRequest()
  const bearer = await exchange.subjectToken({ sub: 'agent' })
  const svid = await askForSvid(exchange.ask, csr, { authorization: `Bearer ${bearer}` })
  assert.equal(svid.status, 200, svid.body.toString())
  return {
    ...exchange,
    batchKey: privateKey,
    agent: { cert: svidIn(svid).x509_svid, key },
    assertion: (claims = {}, header = {}, signingKey = privateKey) => {
      const iat = Math.floor(Date.now() / 1000)
      const standard = { iss: 'batch', sub: 'batch', aud: exchangeIssuer, jti: randomUUID() }
      return new SignJWT({ ...standard, iat, exp: iat + 60, ...claims })
        .setProtectedHeader({ alg: 'ES256', kid: 'b1', ...header })
        .sign(signingKey)
    },
    post: (path, form, { headers = {}, client } = {}) =>
      exchange.ask({
        method: 'POST',
        path,
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
        body: new URLSearchParams(form).toString(),
        ...(client ? { client } : {}),
      }),
    form: async (form = {}) => ({
      grant_type: tokenExchangeGrant,
      subject_token: await exchange.subjectToken(),
      subject_token_type: tokenTypes.jwt,
      requested_token_type: tokenTypes.accessToken,
      audience: orders,
      ...form,
    }),
    stop: async () => {
      await exchange.stop()
      await rm(folder, { recursive: true })
    },
  }
}

export const basic = (id: string, secret: string): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`${formEncoded(id)}:${formEncoded(secret)}`).toString('base64')}`,
})

const formEncoded = (text: string) => new URLSearchParams([['', text]]).toString().slice(1)

const sha256Of = (secret: string) => `sha256:${createHash('sha256').update(secret).digest('hex')}`
const scryptOf = (secret: string) => {
  const salt = Buffer.from('a salt of sixteen')
  const hash = scryptSync(secret, salt, 32, { N: 2 ** 14 })
  return `scrypt:14:${salt.toString('base64url')}:${hash.toString('base64url')}`
}
const typistHash = scryptOf(typistSecret)
const clientsWith = (jwksFile: string) => ({
  agent: {
    authentication: { method: 'tls_client_auth', spiffeId: agentId },
    receives: [batchApi],
  },
  bound: {
    authentication: { method: 'tls_client_auth', spiffeId: `${agentId}-bound` },
    bound: 'certificate',
  },
  batch: {
    authentication: { method: 'private_key_jwt', jwksFile },
    receives: [batchApi],
  },
  cron: {
    authentication: {
      method: 'client_secret',
      secretHashes: [`sha256:${'0'.repeat(64)}`, sha256Of(cronSecret)],
    },
    bound: 'dpop',
  },
  mainframe: {
    authentication: { method: 'client_secret', secretHashes: [sha256Of(mainframeSecret)] },
  },
  typist: {
    authentication: { method: 'client_secret', secretHashes: [typistHash] },
  },
})

const grants = [
  {
    name: 'own-certificates',
    subjects: ['spiffe://mesh.example/user/*'],
    tokens: ['x509-svid'],
  },
  {
    name: 'for-themselves',
    subjects: ['spiffe://mesh.example/user/*'],
    audiences: [orders],
  },
  {
    name: 'for-users',
    subjects: ['spiffe://mesh.example/user/*'],
    to: ['agent', 'batch', 'cron', 'mainframe', 'typist'],
    tokens: ['jwt-svid', 'access-token'],
    audiences: [orders, batchApi],
    scopes: ['orders.read', 'orders.write'],
    actors: [agentId],
  },
  {
    name: 'transactions',
    subjects: ['spiffe://mesh.example/user/*'],
    to: ['agent'],
    tokens: ['txn-token'],
    scopes: ['orders.read', 'orders.write'],
  },
]
