import { systemClock, systemRandomBytes } from '#contract/clock'
import { admitted, pass, problems, refuse } from '#contract/problem'
import type { Quota } from '#contract/quota'
import { secret } from '#contract/secret'
import type { SpiffeId } from '#contract/spiffe-id'
import { noLog, noMeter } from '#contract/telemetry'
import type { GatewayConfig } from '#config/schema'
import { openFirewall } from '#gateway/main'
import { buildIngress } from '#gateway/ingress/build'
import type { IngressParts } from '#gateway/ingress/parts'
import { ingress } from '#gateway/ingress/pipeline'
import type { Received } from '#gateway/ingress/received'
import type { MintCache } from '#gateway/mint-cache'
import { shelf } from '#gateway/shelf'
import { canonicalAddress } from '#http/networks'
import { loadPolicyBundle } from '#plugins/policy/bundle'
import { policyEngine } from '#plugins/policy/engine'
import { quotaHeaders } from '#plugins/rate-limit/quota'
import { whatItLearned, type Facts } from './what-it-learned.ts'
import { keptBundles } from './kept-bundles.ts'
import { whyRefused } from './why-refused.ts'
import { noBody } from '#http/body'

export type AskedRequest = {
  readonly method: string
  /** With host and path, as the caller would type it; the path is taken as it stands. */
  readonly url: string
  readonly headers: readonly (readonly [string, string])[]
  readonly token: string | undefined
  readonly address: string
  readonly nowMs: number
}

export type ExplainedStep = {
  readonly step: string
  readonly outcome: 'admitted' | 'refused' | 'not reached'
  /** What it learned, or why it refused. */
  readonly says: string
}

export type Explanation = {
  readonly request: string
  readonly steps: readonly ExplainedStep[]
  readonly verdict:
    | { readonly forwarded: true; readonly to: string }
    | {
        readonly forwarded: false
        readonly status: number
        readonly problem: string
        readonly title: string
      }
}

/** Runs a request along the very way that the gateway runs it, with nothing behind it. */
export const explanationOf = async (
  config: GatewayConfig,
  asked: AskedRequest,
): Promise<Explanation> => {
  const hand = shelf().hand()
  const built = await buildIngress(config, offlinePorts(config), hand, await keptBundles(config))
  const way = ingress(withPromisedMints(built.parts))
  const ran: string[] = []
  const outcome = await way.run(receivedOf(asked), (step) => ran.push(step))
  hand.release()

  const facts = outcome.request as Facts
  const steps = way.names.map((step): ExplainedStep => {
    if (!ran.includes(step)) return { step, outcome: 'not reached', says: '' }
    if (!outcome.ok && outcome.at === step)
      return { step, outcome: 'refused', says: whyRefused(outcome.problem) }
    return { step, outcome: 'admitted', says: whatItLearned(step, facts) }
  })
  const request = `${asked.method} ${asked.url}`
  if (outcome.ok) {
    const { name, spiffeId } = outcome.request.route.upstream
    return { request, steps, verdict: { forwarded: true, to: `${name}, who must be ${spiffeId}` } }
  }
  const { status, title } = problems[outcome.problem.tag]
  return {
    request,
    steps,
    verdict: { forwarded: false, status, problem: outcome.problem.tag, title },
  }
}

export const noFederation = {
  get: () => undefined,
  onChange: () => () => {},
  start: async () => {},
  status: () => ({}),
  close: () => {},
}

/** All that the way in is given, where it would count, record, mint or connect: nothing of that happens. */
export const offlinePorts = (config: GatewayConfig) => ({
  audit: { write: () => {}, ready: () => admitted, close: async () => {} },
  load: () => admitted,
  meter: noMeter,
  log: noLog,
  clock: systemClock,
  randomBytes: systemRandomBytes,
  uptimeMs: () => performance.now(),
  viaName: 'sallyport-explain',
  ownSvid: {
    current: () => ({
      spiffeId: config.spiffeId as SpiffeId,
      certificateChain: '',
      privateKey: secret(''),
      bundle: '',
      notBeforeMs: 0,
      notAfterMs: Number.POSITIVE_INFINITY,
    }),
    onChange: () => () => {},
    close: () => {},
  },
  quarantine: { arriving: { where: () => admitted, who: () => admitted } },
  mints: noMints,
  legacy: {
    take: () => refuse('identity-unavailable', { cause: 'only the exchange knows whose it is' }),
    size: () => 0,
  },
  holder: { spendOnce: () => admitted, nonces: undefined },
  resolveName: async () => [],
  stampOf: () => '',
  openPolicy: (options: GatewayConfig['policy']) =>
    policyEngine(loadPolicyBundle(options), options, { meter: noMeter, log: noLog }),
  limit:
    (
      name: Quota['name'],
      _of: string,
      options: { points: number; windowSeconds: number; mode: 'enforce' | 'report' },
    ) =>
    () =>
      pass({
        name,
        mode: options.mode,
        limit: options.points,
        windowSeconds: options.windowSeconds,
        remaining: options.points,
        resetSeconds: options.windowSeconds,
      }),
  openFirewall: openFirewall(noLog),
  quotaHeaders,
})

/** The exchange is not asked: it maps by the same rules, so it would mint for the subject that was found before. */
const withPromisedMints = (parts: IngressParts): IngressParts => {
  let subject = '' as SpiffeId
  return {
    ...parts,
    mapping: (token) => {
      const mapped = parts.mapping(token)
      if (mapped.ok) subject = mapped.value.spiffeId
      return mapped
    },
    mints: {
      ...noMints,
      take: (parent, request, nowMs) =>
        pass({
          fromCache: false,
          minted: {
            token: secret(''),
            tokenType: request.requestedTokenType,
            subject,
            audience: request.audience,
            jti: '',
            kid: '',
            issuedAtMs: nowMs,
            expiresAtMs: parent.expiresAtMs,
          },
        }),
    },
  }
}

const noMints: MintCache = {
  take: () => refuse('identity-unavailable'),
  size: () => 0,
}

/** The request as Node would deliver it. `new URL` would resolve dot segments, which is for the gate to judge. */
const receivedOf = ({ method, url, headers, token, address, nowMs }: AskedRequest): Received => {
  const [, authority = '', target = ''] = /^https?:\/\/([^/?#]*)(.*)$/s.exec(url) ?? []
  const rawHeaders = ['Host', authority]
  for (const [name, value] of headers) rawHeaders.push(name, value)
  if (token !== undefined) rawHeaders.push('Authorization', `Bearer ${token}`)
  return {
    door: 'request',
    raw: {
      method,
      url: target.startsWith('/') ? target : `/${target}`,
      httpVersion: '1.1',
      rawHeaders,
    },
    peer: {
      address: canonicalAddress(address),
      port: 0,
      tlsVersion: 'TLSv1.3',
      serverName: authority,
    },
    nowMs,
    decisionId: 'explained',
    body: noBody,
  }
}
