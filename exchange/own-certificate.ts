import { isIP } from 'node:net'
import type { Clock, RandomBytes } from '#contract/clock'
import { secret, type Secret } from '#contract/secret'
import type { SpiffeId } from '#contract/spiffe-id'
import { checkCertificate, type ServerCertificate } from '#http/certificates'
import type { OwnSvid, Svid } from '#identity/svid/svid'
import type { AuthoritySnapshot } from './ca/snapshot.ts'
import { generateP256 } from './ca/p256.ts'
import { issueX509Svid } from './svid/x509.ts'

export type OwnCertificate = {
  readonly current: () => ServerCertificate
  /** Takes a new one when it is due: at half its life and after a change of the CA, or as it comes; says whether it did. */
  readonly renewIfDue: () => Promise<boolean>
}

export type OwnCertificateParts = {
  readonly authority: () => AuthoritySnapshot
  readonly spiffeId: SpiffeId
  /** DNS names and addresses by which it is called. */
  readonly names: readonly string[]
  readonly lifetimeMs: number
  readonly clock: Clock
  readonly randomBytes: RandomBytes
}

type Held = {
  readonly certificate: ServerCertificate
  /** Its CA, whose name no other has. */
  readonly issuer: string
  readonly renewAtMs: number
}

const dnsName =
  /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i

/**
 * The exchange's own server certificate, from its own CA: an X.509-SVID that also has its names.
 *
 * @throws Error for a name that is neither a DNS name nor an address.
 */
export const ownCertificate = async (parts: OwnCertificateParts): Promise<OwnCertificate> => {
  const { authority, spiffeId, lifetimeMs, clock, randomBytes } = parts
  const names = sortNames(parts.names)

  const make = async (): Promise<Held> => {
    const { privateKey, publicKey } = await generateP256()
    const { issuer } = authority()
    const nowMs = clock()
    const request = { spiffeId, publicKey, lifetimeMs, ...names }
    const { chainPem, notAfterMs } = issueX509Svid(request, issuer, nowMs, randomBytes)
    const key = secret(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
    const certificate = serverCertificate(chainPem, key, clock)
    return { certificate, issuer: issuer.subject, renewAtMs: nowMs + (notAfterMs - nowMs) / 2 }
  }

  let held = await make()
  return {
    current: () => held.certificate,
    renewIfDue: async () => {
      if (clock() < held.renewAtMs && held.issuer === authority().issuer.subject) return false
      held = await make()
      return true
    },
  }
}

/** The exchange's own server certificate, where that is an SVID from elsewhere: it has the names that it came with. */
export const ownCertificateFrom = (ownSvid: OwnSvid, clock: Clock): OwnCertificate => {
  const read = (svid: Svid) => serverCertificate(svid.certificateChain, svid.privateKey, clock)
  let from = ownSvid.current()
  let certificate = read(from)
  return {
    current: () => certificate,
    renewIfDue: async () => {
      const svid = ownSvid.current()
      if (svid === from) return false
      certificate = read(svid)
      from = svid
      return true
    },
  }
}

const serverCertificate = (
  certificate: string,
  key: Secret<string>,
  clock: Clock,
): ServerCertificate =>
  checkCertificate(
    {
      certificate,
      key,
      certificateName: 'the own certificate',
      keyName: 'the key of the own certificate',
    },
    clock,
  )

const sortNames = (names: readonly string[]) => {
  const ipAddresses = names.filter((name) => isIP(name) !== 0)
  const dnsNames = names.filter((name) => isIP(name) === 0)
  for (const name of dnsNames)
    if (!dnsName.test(name))
      throw new Error(
        `listeners.exchange.names: ${JSON.stringify(name)} is neither a DNS name nor an address`,
      )
  return { dnsNames, ipAddresses }
}
