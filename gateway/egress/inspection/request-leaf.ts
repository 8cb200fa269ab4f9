import { generateKeyPair, X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import { promisify } from 'node:util'
import type { Clock } from '#contract/clock'
import { secret } from '#contract/secret'
import { contextOptions, type TlsSettings } from '#http/tls'
import { parseStrictObject } from '#identity/json-strict'
import { bad, good, type Outcome } from '#identity/outcome'
import { createCsr } from '#identity/svid/csr'
import { askExchange, type ExchangeAddress } from '#identity/svid/exchange-connection'
import type { OwnSvid } from '#identity/svid/svid'

/** What a host's TLS is ended with here. */
export type Leaf = {
  readonly context: SecureContext
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

export type LeafRequest = {
  readonly exchange: ExchangeAddress
  readonly ownSvid: Pick<OwnSvid, 'current'>
  /** Of the listener. */
  readonly profile: TlsSettings['profile']
  readonly clock: Clock
}

const generate = promisify(generateKeyPair)

/**
 * Asks the exchange, over mTLS, to certify a new key for a host that is to be inspected. The key never leaves this process,
 * and there is one for each host and certificate.
 *
 * @returns A fault says what went wrong, also for a certificate that is not what was asked for.
 */
export const leafRequester =
  ({ exchange, ownSvid, profile, clock }: LeafRequest) =>
  async (host: string): Promise<Outcome<Leaf>> => {
    const { privateKey, publicKey } = await generate('ec', { namedCurve: 'P-256' })
    const svid = ownSvid.current()
    const answer = await askExchange(
      exchange,
      `/inspection/certificate?host=${encodeURIComponent(host)}`,
      svid.bundle,
      svid,
      {
        method: 'POST',
        headers: { accept: 'application/json', 'content-type': 'application/pkcs10' },
        body: createCsr(privateKey),
      },
    )
    if (!answer.ok) return answer
    const parsed = parseStrictObject(answer.value)
    if (!parsed.ok) return bad(`the answer of the exchange: ${parsed.fault}`)
    const certificate = certificateIn(parsed.value['certificate'])
    if (!certificate) return bad('the answer of the exchange holds no certificate')
    const isMeant =
      certificate.checkHost(host, { subject: 'never', wildcards: false }) === host &&
      !certificate.ca &&
      certificate.publicKey.equals(publicKey)
    const notAfterMs = certificate.validToDate.getTime()
    if (!isMeant || notAfterMs <= clock())
      return bad('the exchange answered with another certificate than was asked for')
    return good({
      context: createSecureContext(
        contextOptions(
          { profile, sessionTickets: false }, // a session would outlive what was checked of its tunnel
          {
            certificate: certificate.toString(),
            key: secret(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()),
          },
        ),
      ),
      notBeforeMs: certificate.validFromDate.getTime(),
      notAfterMs,
    })
  }

const certificateIn = (pem: unknown): X509Certificate | undefined => {
  if (typeof pem !== 'string') return undefined
  try {
    return new X509Certificate(pem)
  } catch {
    return undefined // Node has no code for it that would tell more
  }
}
