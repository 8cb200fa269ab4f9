import { pass, refuse, type Problem, type Refusal, type Result } from '#contract/problem'
import { secret, type Secret } from '#contract/secret'
import { trustDomainOf, type SpiffeId, type TrustDomain } from '#contract/spiffe-id'
import type { Step } from '#contract/step'
import type { RawHead } from '#http/raw-gate'
import type { FederatedSvids } from '#identity/federation/federated-svids'
import type { Bundle } from '#identity/svid/bundle'
import { claimedTrustDomain, verifyJwtSvid, type VerifiedJwtSvid } from '#identity/svid/jwt-svid'
import type { ClientCertificate } from './client-certificate.ts'
import type { EgressReceived } from './received.ts'

/** Who wants to go out, and how that was proved. */
export type Workload = {
  readonly spiffeId: SpiffeId
  readonly proof: 'x509-svid' | 'jwt-svid'
  readonly token?: VerifiedJwtSvid & { readonly raw: Secret<string> }
}

export type IdentifyOptions = {
  readonly trustDomain: string
  readonly audiences: ReadonlySet<string>
  /** The keys of JWT-SVIDs; undefined as long as they could not be had. */
  readonly bundle: () => Bundle | undefined
  /** Other trust domains whose workloads may come. */
  readonly federated: {
    readonly trustDomains: ReadonlySet<TrustDomain>
    readonly bundleOf: (trustDomain: TrustDomain) => Bundle | undefined
    readonly svidOf: FederatedSvids
  }
}

/**
 * Finds who wants to go out: by the X.509-SVID of the connection, or by a JWT-SVID in Proxy-Authorization. If both are
 * there they must be of one workload; a certificate that is none of the mesh is never passed over.
 *
 * @returns A step refusing with `workload-unidentified` and Proxy-Authenticate, or with `issuer-unavailable`.
 */
export const identify =
  (options: IdentifyOptions): Step<EgressReceived, Workload> =>
  ({ certificate, raw, nowMs }) => {
    const shown = fromCertificate(certificate, options, nowMs)
    if (shown && !shown.ok) return shown
    const credentials = proxyAuthorization(raw)
    if (credentials === undefined)
      return shown ?? unidentified('There is neither a client certificate nor a JWT-SVID.')
    const token = tokenIn(credentials)
    if (token === undefined)
      return unidentified('Proxy-Authorization is neither Bearer nor Basic with a JWT-SVID in it.')
    const bundle = bundleFor(token, options)
    if (!bundle)
      return refuse('issuer-unavailable', {
        cause: 'the keys of JWT-SVIDs are not known yet',
        headers: { 'Retry-After': '5' },
      })
    const verified = verifyJwtSvid(token, bundle, options.audiences, nowMs)
    if (!verified.ok) return unidentified('The JWT-SVID is not accepted.', verified.problem)
    if (shown && shown.value.spiffeId !== verified.value.spiffeId)
      return unidentified('The client certificate and the JWT-SVID are of two workloads.')
    return (
      shown ??
      pass({
        spiffeId: verified.value.spiffeId,
        proof: 'jwt-svid',
        token: { ...verified.value, raw: secret(token) },
      })
    )
  }

/** Of the trust domain of the subject, if that is ours or one that may come; else ours, whose keys it will not fit. */
const bundleFor = (
  token: string,
  { bundle, federated }: Pick<IdentifyOptions, 'bundle' | 'federated'>,
): Bundle | undefined => {
  if (federated.trustDomains.size === 0) return bundle()
  const domain = claimedTrustDomain(token)
  return domain !== undefined && federated.trustDomains.has(domain)
    ? federated.bundleOf(domain)
    : bundle()
}

const fromCertificate = (
  certificate: ClientCertificate,
  { trustDomain, federated }: Pick<IdentifyOptions, 'trustDomain' | 'federated'>,
  nowMs: number,
): Result<Workload> | undefined => {
  switch (certificate.kind) {
    case 'none':
      return undefined
    case 'bad': {
      const stranger = certificate.stranger && federated.svidOf(certificate.stranger, nowMs)
      if (stranger?.ok) return pass({ spiffeId: stranger.value.spiffeId, proof: 'x509-svid' })
      return unidentified('The client certificate is not accepted.', {
        tag: 'workload-unidentified',
        cause: stranger?.fault ?? certificate.fault,
      })
    }
    case 'svid':
      if (trustDomainOf(certificate.spiffeId) !== trustDomain)
        return unidentified('The client certificate is of another trust domain.')
      // The handshake may be hours ago.
      if (certificate.notAfterMs <= nowMs)
        return unidentified('The client certificate has expired; connect anew.')
      return pass({ spiffeId: certificate.spiffeId, proof: 'x509-svid' })
    default:
      return certificate satisfies never
  }
}

const challenge = 'Bearer realm="sallyport egress", Basic realm="sallyport egress"'

const unidentified = (detail: string, behind?: Problem): Refusal =>
  refuse('workload-unidentified', {
    detail,
    ...(behind ? { cause: behind.cause ?? behind.tag } : {}),
    headers: { 'Proxy-Authenticate': challenge },
  })

/** Of several none counts: they would have to be understood alike by all. */
const proxyAuthorization = ({ rawHeaders }: RawHead): string | undefined => {
  let found: string | undefined
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() !== 'proxy-authorization') continue
    if (found !== undefined) return ''
    found = rawHeaders[i + 1] ?? ''
  }
  return found
}

/**
 * The token of `Bearer TOKEN`, or the password of Basic: all that most clients can be told is
 * `HTTPS_PROXY=https://jwt-svid:TOKEN@HOST:PORT`.
 */
const tokenIn = (credentials: string): string | undefined => {
  const [, scheme = '', value = ''] = /^(bearer|basic) +(\S+)$/i.exec(credentials) ?? []
  if (value === '') return undefined
  if (scheme.toLowerCase() === 'bearer') return value
  const text = Buffer.from(value, 'base64').toString('latin1')
  const colon = text.indexOf(':')
  return colon < 0 ? undefined : text.slice(colon + 1)
}
