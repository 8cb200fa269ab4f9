import type { RandomBytes } from '#contract/clock'
import type { InspectionCa } from '../keys/key-store.ts'
import { signCertificate } from './certificate.ts'
import { checkCertificate } from './check-certificate.ts'
import { permittedNames } from './name-constraints.ts'
import { generateP256 } from './p256.ts'
import { newSerial, validity } from './validity.ts'

export type NewInspectionCa = {
  /** Patterns of the hosts that it is for. */
  readonly hosts: readonly string[]
  readonly lifetimeMs: number
  readonly nowMs: number
  readonly randomBytes: RandomBytes
}

/**
 * Makes the CA of the certificates that gateways show where they look into TLS. It has nothing to do with the CA of
 * SVIDs: nobody who trusts the one trusts the other. Those who trust it trust it for the names of `hosts` alone.
 */
export const makeInspectionCa = async ({
  hosts,
  lifetimeMs,
  nowMs,
  randomBytes,
}: NewInspectionCa): Promise<InspectionCa> => {
  const { privateKey, publicKey } = await generateP256()
  const id = publicKey.keyId.toString('hex')
  const subject = `Sallyport inspection ${id}`
  const permitted = permittedNames(hosts)
  const fields = {
    serial: newSerial(randomBytes),
    issuer: subject,
    subject,
    ...validity(nowMs, lifetimeMs),
    publicKey,
    authorityKeyId: publicKey.keyId,
    profile: { kind: 'inspection-ca', permittedNames: permitted },
  } as const
  const certificate = signCertificate(fields, privateKey)
  checkCertificate(certificate, fields, certificate)
  return {
    id,
    createdAtMs: nowMs,
    notAfterMs: fields.notAfterMs,
    privateKey,
    publicKey: publicKey.key,
    certificate,
    subject,
    permitted,
  }
}
