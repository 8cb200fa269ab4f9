import type { Admitted } from '#gateway/ingress/pipeline'
import type { PolicyDecision } from '#contract/policy'
import type { Quota } from '#contract/quota'
import type { Received } from '#gateway/ingress/received'

/** What is known of a request, as far as it came. */
export type Facts = Received & Partial<Admitted>

/** In a few words, what a step that admitted the request has found out. */
export const whatItLearned = (step: string, facts: Facts): string =>
  Object.hasOwn(sentences, step) ? (sentences[step as keyof typeof sentences]?.(facts) ?? '') : ''

/** The list is the gateway's. */
export const unlisted = 'not looked at here: `sallyport quarantine list` tells'

const sentences = {
  audit: () => 'records would be written',
  load: () => 'not measured here',
  head: ({ head }) =>
    head && `${head.method} ${head.host} ${head.path}, ${head.headers.length / 2} headers kept`,
  origin: ({ origin }) => origin && `from ${origin.address}`,
  addressQuota: ({ addressQuota }) => limit(addressQuota),
  route: ({ route }) => route && `${route.id} of team ${route.team}`,
  'client certificate': ({ route }) =>
    route?.config.clientCertificate ? 'the right one is shown' : 'none is needed',
  upgrade: () => 'none is asked for',
  grpc: () => 'not asked for, or as it must be',
  'cut off here': () => unlisted,
  'cut off': () => unlisted,
  'body size': () => 'small enough, or not said',
  inspection: ({ inspection }) =>
    inspection ? 'no rule refuses it; a body is not looked at here' : 'off here',
  caller: ({ caller }) =>
    caller &&
    (caller.kind === 'token'
      ? `${caller.token.subject} of issuer ${caller.token.issuerName}, until ${new Date(caller.token.expiresAtMs).toISOString()}`
      : caller.kind === 'legacy'
        ? `${caller.mint.minted.subject} by ${caller.method}`
        : 'nobody has to say who they are here'),
  subject: ({ subject }) =>
    subject
      ? `${subject.spiffeId}, by rule ${subject.rule}`
      : 'no identity: the caller is anonymous',
  routeQuota: ({ routeQuota }) => limit(routeQuota),
  callerQuota: ({ callerQuota }) => limit(callerQuota),
  decision: ({ decision }) => decision && reasonsOf(decision),
  identity: ({ identity }) =>
    identity
      ? `the exchange would mint for ${identity.minted.subject}, audience ${identity.minted.audience}`
      : 'no token: the caller is anonymous',
  'small body': () => 'none is sent here',
  endpoint: ({ endpoint }) => endpoint?.endpoint,
} as const satisfies Record<string, (facts: Facts) => string | undefined>

export const limit = (quota: Quota | undefined): string =>
  quota
    ? `${quota.limit} in ${quota.windowSeconds} s${quota.mode === 'report' ? ', reported only' : ''}; not counted here`
    : 'none'

export const reasonsOf = ({ reasons, revision }: PolicyDecision): string =>
  `${reasons.map(({ code, message }) => `${code} (${message})`).join(', ')}; policy ${revision}`
