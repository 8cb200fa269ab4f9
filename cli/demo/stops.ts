import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { audience, ids, trustDomain } from './configs.ts'
import type { DemoMesh } from './mesh.ts'
import type { DemoAnswer, DemoRequest } from './request.ts'
import { goOut } from './way-out.ts'

/** One stop of the tour: something that a caller does, and what must come of it. */
export type Stop = {
  readonly title: string
  readonly go: (mesh: DemoMesh) => Promise<Seen>
}

/** What was sent and what came of it. */
export type Seen = {
  /** As a person would say it: `GET /orders/7 as alice`. */
  readonly request: string
  /** `200`, `401 token-missing`. */
  readonly decision: string
  /** What it should have been. */
  readonly expected: string
  /** What the service says of its caller, or another proof. */
  readonly proof: readonly (readonly [string, string])[]
  /** What is not as it should be. */
  readonly wrong: readonly string[]
}

const person = (tenant: string, name: string) => `spiffe://${trustDomain}/${tenant}/people/${name}`

/** In the order of the way in: who, whether, where, and what holds while something is away. */
export const stops: readonly Stop[] = [
  {
    title: 'An outside token becomes a mesh identity',
    go: async (mesh) =>
      look(
        mesh,
        'alice',
        { path: '/orders/7', token: await mesh.issuer.tokenFor('alice') },
        '200',
        [expectCaller(person('acme', 'alice'))],
      ),
  },
  {
    title: 'A job gets one, too, and another service',
    go: async (mesh) =>
      look(
        mesh,
        'billing-job',
        { method: 'POST', path: '/billing/run', token: await mesh.issuer.tokenFor('billing-job') },
        '200',
        [expectCaller(`spiffe://${trustDomain}/acme/jobs/billing-job`)],
      ),
  },
  {
    title: 'Without a token',
    go: (mesh) => look(mesh, 'nobody', { path: '/orders/7' }, '401 token-missing'),
  },
  {
    title: 'A token that is meant for somebody else',
    go: async (mesh) =>
      look(
        mesh,
        'alice, for another audience',
        { path: '/orders/7', token: await mesh.issuer.tokenFor('alice', 'https://other.demo') },
        '401 token-audience-wrong',
      ),
  },
  {
    title: 'A token that has expired',
    go: async (mesh) =>
      look(
        mesh,
        'alice, an hour too late',
        { path: '/orders/7', token: await expired(mesh) },
        '401 token-expired',
      ),
  },
  {
    title: 'A token that says it needs no signature (alg: none)',
    go: async (mesh) =>
      look(
        mesh,
        'alice, so it says',
        { path: '/orders/7', token: unsigned(await mesh.issuer.tokenFor('alice')) },
        '401 token-algorithm-refused',
      ),
  },
  {
    title: 'Identity headers that a caller made up',
    go: async (mesh) =>
      look(
        mesh,
        'alice, with X-Spiffe-Id: admin, X-Forwarded-For: 203.0.113.9',
        {
          path: '/orders/7',
          token: await mesh.issuer.tokenFor('alice'),
          headers: {
            'x-spiffe-id': 'spiffe://mesh.demo/admin',
            'x-forwarded-for': '203.0.113.9',
            'x-sallyport-caller': 'admin',
          },
        },
        '200',
        [
          expectCaller(person('acme', 'alice')),
          expectHeader('x-spiffe-id', undefined),
          expectHeader('x-sallyport-caller', undefined),
          expectHeader('x-forwarded-for', '127.0.0.1'),
        ],
      ),
  },
  {
    title: 'A path that two programs could read differently',
    go: async (mesh) =>
      look(
        mesh,
        'alice',
        { path: '/orders/..%2fadmin', token: await mesh.issuer.tokenFor('alice') },
        '400 path-invalid',
      ),
  },
  {
    title: 'An attack on the database behind the service',
    go: async (mesh) =>
      look(
        mesh,
        'alice',
        {
          path: `/orders/7?note=${encodeURIComponent("1' UNION SELECT password FROM users--")}`,
          token: await mesh.issuer.tokenFor('alice'),
        },
        '403 attack-suspected',
      ),
  },
  {
    title: 'The wrong role',
    go: async (mesh) =>
      look(
        mesh,
        'bob, a guest',
        { path: '/orders/7', token: await mesh.issuer.tokenFor('bob') },
        '403 policy-denied',
      ),
  },
  {
    title: "Another tenant's orders",
    go: async (mesh) =>
      look(
        mesh,
        'carol of globex',
        { path: '/tenants/acme/orders', token: await mesh.issuer.tokenFor('carol') },
        '403 policy-denied',
      ),
  },
  {
    title: 'Too many requests of one caller (5 in 10 s here)',
    go: async (mesh) => {
      const token = await mesh.issuer.tokenFor('alice')
      const answers: DemoAnswer[] = []
      for (let i = 0; i < 8; i += 1)
        answers.push(await mesh.caller.send({ path: '/reports', token }))
      const decisions = answers.map(decisionOf)
      const last = answers.at(-1)
      return {
        request: '8 × GET /reports as alice',
        decision: summary(decisions),
        expected: '5 × 200, 3 × 429 rate-exceeded',
        proof: [['Retry-After', String(last?.headers['retry-after'] ?? 'missing')]],
        wrong: last?.headers['retry-after'] === undefined ? ['no Retry-After'] : [],
      }
    },
  },
  {
    title: 'A service that is not who it should be',
    go: async (mesh) =>
      look(
        mesh,
        'alice',
        { path: '/payments', token: await mesh.issuer.tokenFor('alice') },
        '502 upstream-identity-wrong',
      ),
  },
  {
    title: 'A route that is public, said aloud',
    go: (mesh) => look(mesh, 'nobody', { path: '/catalogue' }, '200', [expectCaller('none')]),
  },
  {
    title: 'The exchange is killed: those who have an identity go on',
    go: async (mesh) => {
      const token = await mesh.issuer.tokenFor('alice')
      await mesh.caller.send({ path: '/orders/1', token })
      await mesh.killExchange()
      return look(mesh, 'alice, while there is no exchange', { path: '/orders/8', token }, '200', [
        expectCaller(person('acme', 'alice')),
      ])
    },
  },
  {
    title: 'Those who have none are told so',
    go: async (mesh) =>
      look(
        mesh,
        'carol, for the first time',
        { path: '/orders/9', token: await mesh.issuer.tokenFor('carol') },
        '503 identity-unavailable',
      ),
  },
  {
    title: 'It is back, and so are they',
    go: async (mesh) => {
      await mesh.restartExchange()
      await sleep(600) // the gateway leaves an exchange that failed alone for half a second
      const token = await mesh.issuer.tokenFor('carol')
      return look(mesh, 'carol', { path: '/orders/9', token }, '200', [
        expectCaller(person('globex', 'carol')),
      ])
    },
  },
  {
    title: 'The identity provider changes its key in the middle of it all',
    go: async (mesh) => {
      const before = await mesh.issuer.tokenFor('alice')
      mesh.issuer.rotateKeys()
      const after = await Promise.all(
        Array.from({ length: 10 }, () => mesh.issuer.tokenFor('carol')),
      )
      const tokens = [...after, before, before]
      const answers = await Promise.all(
        tokens.map((token) => mesh.caller.send({ path: '/orders/10', token })),
      )
      return {
        request: '12 × GET /orders/10, at once, with tokens of the old and the new key',
        decision: summary(answers.map(decisionOf)),
        expected: '12 × 200',
        proof: [],
        wrong: [],
      }
    },
  },
  {
    title: 'A service goes out, where a rule lets it',
    go: (mesh) => out(mesh, `${mesh.issuer.url}/.well-known/openid-configuration`, '200'),
  },
  {
    title: 'And nowhere else',
    go: (mesh) => out(mesh, 'https://elsewhere.demo/', '403 destination-denied'),
  },
  {
    title: 'Each of the requests that came in left one record',
    go: async (mesh) => {
      await sleep(300) // records are written together, a moment later
      const all = readFileSync(mesh.files.gatewayAudit, 'utf8').trim().split('\n')
      const records = all.filter((line) => line.includes('"kind":"ingress"'))
      const last = JSON.parse(records.at(-1) ?? '{}') as Record<string, unknown>
      return {
        request: `${mesh.caller.sent()} requests sent by this tour`,
        decision: `${records.length} records`,
        expected: `${mesh.caller.sent()} records`,
        proof: [
          [
            'the last one',
            `${String(last['decisionId'])} ${String(last['outcome'])} ${String(last['spiffeId'])}`,
          ],
        ],
        wrong: [],
      }
    },
  },
]

const out = async (mesh: DemoMesh, url: string, expected: string): Promise<Seen> => {
  const { status, error } = await goOut(mesh, new URL(url))
  return {
    request: `GET ${url} through the proxy, as ${ids.orders}`,
    decision: error === undefined ? String(status) : `${status} ${error}`,
    expected,
    proof: [],
    wrong: [],
  }
}

type Expectation = (body: SawBody) => {
  readonly proof?: readonly [string, string]
  readonly wrong?: string
}
type SawBody = {
  readonly saw?: {
    readonly peerCertificate: string
    readonly callerToken: string
    readonly headers: Record<string, string>
  }
}

const look = async (
  mesh: DemoMesh,
  who: string,
  request: DemoRequest,
  expected: string,
  expectations: readonly Expectation[] = [],
): Promise<Seen> => {
  const answer = await mesh.caller.send(request)
  const checked = expectations.map((expectation) => expectation(answer.body as SawBody))
  const detail = (answer.body as { detail?: string }).detail
  return {
    request: `${request.method ?? 'GET'} ${request.path} as ${who}`,
    decision: decisionOf(answer),
    expected,
    proof: [
      ...(expected === '200' ? [['its peer', sawPeer(answer)] as const] : []),
      ...checked.flatMap(({ proof }) => (proof ? [proof] : [])),
      ...(detail === undefined ? [] : [['said', detail] as const]),
    ],
    wrong: [
      ...checked.flatMap(({ wrong }) => (wrong === undefined ? [] : [wrong])),
      ...(expected === '200' && sawPeer(answer) !== ids.gateway
        ? ['the service saw another peer']
        : []),
    ],
  }
}

const sawPeer = ({ body }: DemoAnswer) => (body as SawBody).saw?.peerCertificate ?? 'nothing'

const expectCaller =
  (spiffeId: string): Expectation =>
  ({ saw }) => ({
    proof: ['its caller', saw?.callerToken ?? 'nothing'],
    ...(saw?.callerToken === spiffeId ? {} : { wrong: `the service should have seen ${spiffeId}` }),
  })

const expectHeader =
  (name: string, value: string | undefined): Expectation =>
  ({ saw }) => ({
    proof: [name, saw?.headers[name] ?? '(not there)'],
    ...(saw?.headers[name] === value ? {} : { wrong: `${name} should be ${value ?? 'gone'}` }),
  })

const decisionOf = ({ status, headers }: DemoAnswer): string => {
  const problem = headers['x-sallyport-problem']
  return problem === undefined ? String(status) : `${status} ${String(problem)}`
}

const summary = (decisions: readonly string[]): string => {
  const counts = new Map<string, number>()
  for (const decision of decisions) counts.set(decision, (counts.get(decision) ?? 0) + 1)
  return [...counts].map(([decision, count]) => `${count} × ${decision}`).join(', ')
}

const expired = ({ issuer }: DemoMesh) => {
  const seconds = Math.floor(Date.now() / 1000)
  return issuer.sign({
    sub: 'alice',
    aud: audience,
    iat: seconds - 7200,
    exp: seconds - 3600,
    jti: 'late',
  })
}

/** The header says `none`; the rest is alice's. */
const unsigned = (token: string): string => {
  const [, payload, signature] = token.split('.')
  const header = Buffer.from(
    JSON.stringify({ alg: 'none', typ: 'at+jwt', kid: 'demo-1' }),
  ).toString('base64url')
  return `${header}.${payload}.${signature}`
}
