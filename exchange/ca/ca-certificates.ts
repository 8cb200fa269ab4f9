import type { RandomBytes } from '#contract/clock'
import type { TrustDomain } from '#contract/spiffe-id'
import type { CertifiedKey } from '../keys/key-store.ts'
import { signCertificate } from './certificate.ts'
import { checkCertificate } from './check-certificate.ts'
import { generateP256, p256PublicKeyOf } from './p256.ts'
import { newSerial, validity } from './validity.ts'

export type NewCa = {
  readonly trustDomain: TrustDomain
  readonly lifetimeMs: number
  readonly nowMs: number
  readonly randomBytes: RandomBytes
}

/** Makes a root, which signs intermediates. */
export const makeRoot = (ca: NewCa): Promise<CertifiedKey> => makeCa(ca, 'root', undefined)

/** Makes an intermediate, which signs leaves and nothing else. It never outlives its root. */
export const makeIntermediate = (root: CertifiedKey, ca: NewCa): Promise<CertifiedKey> =>
  makeCa(ca, 'intermediate', root)

const makeCa = async (
  { trustDomain, lifetimeMs, nowMs, randomBytes }: NewCa,
  role: 'root' | 'intermediate',
  root: CertifiedKey | undefined,
): Promise<CertifiedKey> => {
  const { privateKey, publicKey } = await generateP256()
  // The key id is in the name (at most 64 characters): two CAs of one name would be taken for each other in a chain.
  const subject = `Sallyport ${role} ${publicKey.keyId.toString('hex')}`
  const fields = {
    serial: newSerial(randomBytes),
    issuer: root?.subject ?? subject,
    subject,
    ...validity(nowMs, lifetimeMs, root?.notAfterMs),
    publicKey,
    authorityKeyId: root === undefined ? publicKey.keyId : p256PublicKeyOf(root.publicKey).keyId,
    // SPIFFE X509-SVID §3.2: a signing certificate bears the trust domain's ID, without a path.
    profile: {
      kind: 'ca',
      spiffeId: `spiffe://${trustDomain}`,
      pathLength: root === undefined ? 1 : 0,
    },
  } as const
  const certificate = signCertificate(fields, root?.privateKey ?? privateKey)
  checkCertificate(certificate, fields, root?.certificate ?? certificate)
  return {
    id: publicKey.keyId.toString('hex'),
    createdAtMs: nowMs,
    notAfterMs: fields.notAfterMs,
    privateKey,
    publicKey: publicKey.key,
    certificate,
    subject,
  }
}
