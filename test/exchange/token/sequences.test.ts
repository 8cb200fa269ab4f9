import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { decodeJwt, type JWTPayload } from 'jose'
import { admitted } from '#contract/problem'
import { tokenExchangeGrant, tokenTypes } from '#contract/token-exchange'
import { clientRegistry } from '#exchange/clients/registry'
import { issuedRegister } from '#exchange/issued/register'
import { exchangeToken } from '#exchange/token/exchange-token'
import { grantsOf } from '#exchange/token/grants'
import { ownTokenVerifier } from '#exchange/token/own-token'
import { checkToken } from '#exchange/token/party'
import { identityMapping } from '#identity/mapping'
import { newSigningKey, signToken } from '#test/fakes/token-maker'
import { claims, nowMs, verifierFor } from '#test/identity/jwt/verifier'
import { gateway, openTestAuthority, orders, spiffeId, trustDomain } from '../fixtures.ts'

const issuer = 'https://exchange.example:8444'
const maxActors = 3
const batchApi = 'https://batch.example.com'
const agent = spiffeId('spiffe://mesh.example/user/agent')
const batch = spiffeId('spiffe://mesh.example/user/batch')
const key = newSigningKey('k1')
const outside = await verifierFor([key], { minRemainingSeconds: 0, skewSeconds: 0 })
const authority = await openTestAuthority(() => nowMs)
const scopes = ['read', 'write', 'admin'] as const
const kinds = [tokenTypes.jwt, tokenTypes.accessToken, tokenTypes.txnToken] as const

const client = (id: typeof agent) => ({
  authentication: { method: 'tls_client_auth' as const, spiffeId: id },
  receives: [batchApi],
  bound: 'no' as const,
})
const grantFor = (to: string[], granted: string[]) => ({
  name: to.join('-'),
  subjects: ['spiffe://mesh.example/user/*'],
  to,
  tokens: ['jwt-svid' as const, 'access-token' as const, 'txn-token' as const],
  audiences: [orders, batchApi, 'spiffe://mesh.example/user/*'],
  scopes: granted,
  actors: ['spiffe://mesh.example/user/*'],
  policy: { requires: {} },
})
const exchange = exchangeToken({
  authentication: {
    issuer,
    spendOnce: () => admitted,
    gateways: new Set([gateway]),
    clients: await clientRegistry({ agent: client(agent), batch: client(batch) }),
    selfService: true,
  },
  checkToken: checkToken(
    outside.verify,
    new Set(['idp']),
    ownTokenVerifier({ issuer, trustDomain, authority: authority.current, isRevoked: () => false }),
  ),
  mapIdentity: identityMapping(
    [
      {
        name: 'people',
        issuer: 'idp',
        match: { iss: 'https://idp.example.com' },
        spiffeId: 'spiffe://mesh.example/user/{sub}',
      },
    ],
    trustDomain,
  ),
  policy: {
    issuer,
    trustDomain,
    selfServiceIssuers: new Set(['idp']),
    reserved: new Set([gateway]),
    audiences: new Set([batchApi]),
    lifetimeSeconds: 300,
    txnLifetimeSeconds: 60,
    maxActors,
    findGrant: grantsOf([
      grantFor(['self'], ['read']),
      grantFor(['agent'], ['read', 'write', 'admin']),
      grantFor(['batch'], ['read', 'write']),
    ]),
  },
  decide: { engine: undefined, requires: {}, trustDomain, issuers: {} },
  limits: { client: undefined, subject: undefined },
  spendOnce: () => admitted,
  oneTimeIssuers: new Set(),
  register: issuedRegister(1_000_000, () => nowMs),
  tokenEndpoints: [],
  checkAwsCaller: undefined,
  legacy: undefined,
  issuer,
  tokenKey: () => authority.current().tokenKey,
  randomBytes,
})

/** A token as a step of a sequence has it: what it says, and of which kind it is said to be. */
type Held = { readonly token: string; readonly claims: JWTPayload; readonly type: string }
const held = (token: string, type: string): Held => ({ token, claims: decodeJwt(token), type })

const sometimes = <T>(arbitrary: fc.Arbitrary<T>, weight = 1): fc.Arbitrary<T | null> =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, { weight, arbitrary })
const scopeText = sometimes(
  fc.subarray([...scopes], { minLength: 1 }).map((all) => all.join(' ')),
  4,
)
const act = sometimes(
  fc.oneof(
    fc.constant({ sub: 'one' }),
    fc.constant({ sub: 'two', act: { sub: 'one' } }),
    fc.constant({ sub: 'four', act: { sub: 'three', act: { sub: 'two', act: { sub: 'one' } } } }),
  ),
)
const firstToken = fc.record({
  sub: fc.constantFrom('alice', 'agent', 'bob'),
  lifeSeconds: fc.constantFrom(1, 45, 200, 900),
  scope: scopeText,
  /** As its issuer says scopes. */
  scopeAs: fc.constantFrom('scope', 'scp', 'list', 'both'),
  act,
  mayAct: sometimes(fc.constantFrom(agent, batch, 'spiffe://mesh.example/user/nobody')),
})
const step = fc.record({
  who: fc.constantFrom('gateway', 'agent', 'batch', 'self'),
  kind: fc.constantFrom(...kinds),
  audience: fc.constantFrom(batchApi, batchApi, agent, batch, orders),
  scope: scopeText,
  /** Which of the tokens so far is the subject, the last one most of the time, and which acts. */
  subject: fc.oneof(fc.constant(0), fc.nat(9)),
  actor: sometimes(fc.nat(9)),
  passSeconds: fc.constantFrom(0, 0, 0, 1, 30),
})

const peers = { gateway, agent, batch }
const setOf = (scope: unknown) =>
  new Set(typeof scope === 'string' ? scope.split(' ') : Array.isArray(scope) ? scope : [])
const scopesAs = (scope: string, how: 'scope' | 'scp' | 'list' | 'both') => {
  if (how === 'both') return { scope: 'read write admin', scp: scope }
  return how === 'list' ? { scp: scope.split(' ') } : { [how]: scope }
}
const actorsOf = (value: unknown): string[] => {
  const { sub, act: before } = (value ?? {}) as { sub?: string; act?: unknown }
  return sub === undefined ? [] : [sub, ...actorsOf(before)]
}

const take = async (
  { who, kind, audience, scope }: typeof step extends fc.Arbitrary<infer T> ? T : never,
  subject: Held,
  actor: Held | undefined,
  atMs: number,
): Promise<Held | undefined> => {
  const peer =
    who === 'self'
      ? ({ kind: 'none' } as const)
      : ({ kind: 'proven', spiffeId: peers[who], thumbprint: 't' } as const)
  const form = {
    grant_type: tokenExchangeGrant,
    ...(who === 'agent' || who === 'batch' ? { client_id: who } : {}),
    subject_token: subject.token,
    subject_token_type: subject.type,
    requested_token_type: kind,
    audience: kind === tokenTypes.txnToken ? 'mesh.example' : audience,
    ...(scope === null ? {} : { scope }),
    ...(actor ? { actor_token: actor.token, actor_token_type: tokenTypes.jwt } : {}),
  }
  const { result } = await exchange(
    {
      peer,
      authorization: undefined,
      dpop: undefined,
      headers: () => ({}),
      certificate: () => undefined,
      body: Buffer.from(new URLSearchParams(form).toString()),
      path: '/token',
      address: '127.0.0.1',
      tlsVersion: 'TLSv1.3',
    },
    atMs,
    { at: () => {}, learn: () => {}, note: () => {} },
  )
  return result.ok ? held(result.value.token.reveal(), result.value.tokenType) : undefined
}

const keepsWithin = (child: Held, parent: Held, actor: Held | undefined, isFirst: boolean) => {
  const [own, before] = [child.claims, parent.claims]
  // A token from outside that speaks of no scopes leaves them to the grants; one of ours without any has none.
  const said = isFirst ? [before['scope'], before['scp']] : [before['scope'] ?? '']
  for (const claim of said.filter((one) => one !== undefined))
    for (const one of setOf(own['scope']))
      assert.ok(setOf(claim).has(one), `scope ${one} came from nowhere`)
  if (own['txn'] !== undefined) assert.ok(setOf(own['scope']).size > 0 && said.some(Boolean))
  assert.ok((own.exp ?? Infinity) <= (before.exp ?? 0), 'it outlives its parent')
  assert.ok((own.exp ?? Infinity) <= (actor?.claims.exp ?? Infinity), 'it outlives its actor')
  const sub = isFirst ? `spiffe://mesh.example/user/${before.sub}` : before.sub
  assert.equal(own.sub, sub, 'it is about somebody else')
  const [now, then] = [actorsOf(own['act']), actorsOf(before['act'])]
  assert.deepEqual(now.slice(now.length - then.length), then, 'an actor was lost')
  assert.ok(now.length - then.length <= 1 && now.length <= maxActors, 'actors beyond the bound')
  if (actor) assert.equal(now.length, then.length + 1, 'who acts is not named')
  const named = (before['may_act'] as { sub: string } | undefined)?.sub
  if (named !== undefined) assert.equal(now[0], named, 'may_act named somebody else')
  if (before['txn'] !== undefined) {
    assert.equal(own['txn'], before['txn'], 'it is of another transaction')
    assert.ok(String(own['req_wl']).startsWith(String(before['req_wl'])), 'a workload was lost')
  }
}

test('no sequence of exchanges widens scopes, lengthens a life, loses an actor or changes whom it is about', async () => {
  let minted = 0
  let deepest = 0
  let refused = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(firstToken, { minLength: 1, maxLength: 3 }),
      fc.array(step, { minLength: 1, maxLength: 12 }),
      async (beginnings, steps) => {
        const tokens: { readonly held: Held; readonly depth: number }[] = beginnings.map(
          ({ sub, lifeSeconds, scope, scopeAs, act: acting, mayAct }) => ({
            held: held(
              signToken(
                key,
                claims({
                  sub,
                  exp: nowMs / 1000 + lifeSeconds,
                  ...(scope === null ? {} : scopesAs(scope, scopeAs)),
                  ...(acting === null ? {} : { act: acting }),
                  ...(mayAct === null ? {} : { may_act: { sub: mayAct } }),
                }),
              ),
              tokenTypes.jwt,
            ),
            depth: 0,
          }),
        )
        let atMs = nowMs
        for (const one of steps) {
          atMs += one.passSeconds * 1000
          const pick = (back: number) => tokens[tokens.length - 1 - (back % tokens.length)]
          const subject = pick(one.subject)
          const actor = one.actor === null ? undefined : pick(one.actor)?.held
          assert.ok(subject)
          const child = await take(one, subject.held, actor, atMs)
          if (child === undefined) {
            refused++
            continue
          }
          keepsWithin(child, subject.held, actor, subject.depth === 0)
          tokens.push({ held: child, depth: subject.depth + 1 })
          minted++
          deepest = Math.max(deepest, subject.depth + 1)
        }
      },
    ),
    { numRuns: 400 },
  )
  assert.ok(minted > 200 && refused > 200 && deepest >= 3, `${minted} ${refused} ${deepest}`)
})
