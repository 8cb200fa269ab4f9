import { createHash } from 'node:crypto'
import type { AuditEvent } from '#contract/audit-event'
import type { PolicyDecision } from '#contract/policy'
import type { Problem } from '#contract/problem'
import type { FinishedSpan } from '#contract/tracing'
import { headerOf } from '#contract/request-head'
import type { PathMatch } from '#config/schema'
import type { Ending, Sent } from '../answer.ts'
import type { VerifiedToken } from '#identity/jwt/verified-token'
import type { Admitted } from './pipeline.ts'
import type { Received } from './received.ts'

type Attributes = Record<string, string | number | boolean>

/** Those of RFC 9110 §9.3 and RFC 5789; any other would make a new span name. */
const knownMethods: ReadonlySet<string> = new Set(
  'CONNECT DELETE GET HEAD OPTIONS PATCH POST PUT TRACE'.split(' '),
)
const pseudonymChars = 22

/**
 * What a span says of a request, by the names of OpenTelemetry's semantic conventions where they have one. A caller
 * stands there by a pseudonym and its SPIFFE ID; its token and the query, which may hold secrets, do not.
 *
 * @see https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server
 */
export const describeSpan = (
  ending: Ending<Received, Admitted>,
  outcome: AuditEvent['outcome'],
  decisionId: string,
): Pick<FinishedSpan, 'name' | 'attributes' | 'isError'> => {
  const { facts, step, sent } = ending
  const route = facts.route && pathOf(facts.route.config.match.path)
  const sentMethod = facts.raw.method ?? ''
  const method = knownMethods.has(sentMethod) ? sentMethod : '_OTHER'
  const isError = sent.status >= 500 || outcome === 'failed'
  const problem = sent.problem?.tag
  const errorType = problem ?? (isError ? String(sent.status) : undefined)
  return {
    name: route === undefined ? (method === '_OTHER' ? 'HTTP' : method) : `${method} ${route}`,
    isError,
    attributes: {
      'http.request.method': method,
      ...(method === sentMethod ? {} : { 'http.request.method_original': sentMethod }),
      'http.response.status_code': sent.status,
      'http.response.body.size': sent.bytesOut,
      ...(facts.raw.isGrpc ? describeGrpc(sent) : {}),
      ...(route === undefined ? {} : { 'http.route': route }),
      ...(errorType === undefined ? {} : { 'error.type': errorType }),
      ...describeConnection(facts),
      ...describeWho(facts, sent.problem),
      'sallyport.decision.id': decisionId,
      'sallyport.outcome': outcome,
      'sallyport.step': step,
    },
  }
}

const describeGrpc = ({ grpcStatus }: Sent): Attributes => ({
  'rpc.system': 'grpc',
  ...(grpcStatus === undefined ? {} : { 'rpc.grpc.status_code': grpcStatus }),
})

type Facts = Ending<Received, Admitted>['facts']

const describeConnection = ({ raw, head, origin, peer }: Facts): Attributes => {
  const agent = head && headerOf(head, 'user-agent')
  return {
    'url.scheme': origin?.forwardedProto ?? (peer.tlsVersion === '' ? 'http' : 'https'),
    ...(head ? { 'url.path': head.path, 'server.address': head.host } : {}),
    ...(agent === undefined ? {} : { 'user_agent.original': agent }),
    'client.address': origin?.address ?? peer.address,
    'network.peer.address': peer.address,
    'network.protocol.version': raw.httpVersion,
    ...(peer.tlsVersion === '' ? {} : { 'tls.protocol.version': peer.tlsVersion.slice(4) }),
  }
}

const describeWho = (
  { route, caller, subject, identity, endpoint, ...facts }: Facts,
  problem: Problem | undefined,
): Attributes => {
  const decision =
    problem?.tag === 'policy-denied' ? (problem.cause as PolicyDecision) : facts.decision
  return {
    ...(route ? { 'sallyport.route.id': route.id, 'sallyport.team': route.team } : {}),
    ...(caller?.kind === 'token' ? describeToken(caller.token) : {}),
    ...(caller?.kind === 'legacy' ? { 'sallyport.credential': caller.method } : {}),
    ...(subject
      ? { 'sallyport.subject.spiffe_id': subject.spiffeId, 'sallyport.subject.rule': subject.rule }
      : {}),
    ...(decision
      ? { 'sallyport.policy.allow': decision.allow, 'sallyport.policy.revision': decision.revision }
      : {}),
    ...(identity ? { 'sallyport.mint.from_cache': identity.fromCache } : {}),
    ...(route ? { 'sallyport.upstream.name': route.upstream.name } : {}),
    ...(endpoint ? { 'sallyport.upstream.endpoint': endpoint.endpoint } : {}),
  }
}

const describeToken = ({ issuerName, issuer, subject, kid }: VerifiedToken): Attributes => ({
  'sallyport.token.issuer': issuerName,
  'sallyport.token.kid': kid,
  'user.hash': createHash('sha256')
    .update(`${issuer}\0${subject}`)
    .digest('base64url')
    .slice(0, pseudonymChars),
})

const pathOf = (path: PathMatch): string => {
  if ('exact' in path) return path.exact
  return 'prefix' in path ? path.prefix : path.pattern
}
