import { randomBytes } from 'node:crypto'
import type { SpiffeId, TrustDomain } from '#contract/spiffe-id'
import { certificatePem } from '#exchange/ca/bundle'
import { makeIntermediate, makeRoot } from '#exchange/ca/ca-certificates'
import { generateP256, p256PublicKeyOf } from '#exchange/ca/p256'
import { issueX509Svid } from '#exchange/svid/x509'
import type { Credentials } from './credentials.ts'

/** The CA of the world outside of the mesh: what a public one would be for a real gateway and a real issuer. */
export type OutsideCa = {
  /** PEM, for callers to trust. */
  readonly root: string
  /** A server certificate for this machine. */
  readonly issue: (name: string) => Promise<Credentials>
}

const trustDomain = 'outside.demo' as TrustDomain
const lifetimeMs = 24 * 60 * 60 * 1000

export const outsideCa = async (): Promise<OutsideCa> => {
  const ca = { trustDomain, lifetimeMs, nowMs: Date.now(), randomBytes }
  const root = await makeRoot(ca)
  const intermediate = await makeIntermediate(root, ca)
  const issuer = {
    ...intermediate,
    keyId: p256PublicKeyOf(intermediate.publicKey).keyId,
    certificatePem: certificatePem(intermediate.certificate),
  }
  return {
    root: certificatePem(root.certificate),
    issue: async (name) => {
      const { privateKey, publicKey } = await generateP256()
      const { chainPem } = issueX509Svid(
        {
          spiffeId: `spiffe://${trustDomain}/${name}` as SpiffeId,
          publicKey,
          lifetimeMs,
          dnsNames: ['localhost'],
          ipAddresses: ['127.0.0.1'],
        },
        issuer,
        Date.now(),
        randomBytes,
      )
      return {
        certificate: chainPem,
        privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      }
    },
  }
}
