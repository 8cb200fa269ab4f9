import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock, systemRandomBytes } from '#contract/clock'
import type { SpiffeId, TrustDomain } from '#contract/spiffe-id'
import { outsideCa } from '#cli/demo/outside-ca'
import { openAuthority } from '#exchange/ca/authority'
import { generateP256 } from '#exchange/ca/p256'
import { diskKeyStore } from '#exchange/keys/disk'
import { issueX509Svid } from '#exchange/svid/x509'

export const trustDomain = 'mesh.bench' as TrustDomain
export const ids = {
  gateway: `spiffe://${trustDomain}/sallyport/gateway` as SpiffeId,
  exchange: `spiffe://${trustDomain}/sallyport/exchange` as SpiffeId,
  orders: `spiffe://${trustDomain}/ns/shop/sa/orders` as SpiffeId,
  rival: `spiffe://${trustDomain}/ns/edge/sa/rival` as SpiffeId,
} as const
/** By which HAProxy knows the upstream: it cannot compare URI SANs. */
export const upstreamName = 'orders.mesh.bench'

/** PEM files: a certificate with its intermediates, its key, and both in one. */
export type Credentials = {
  readonly certificate: string
  readonly key: string
  readonly bundle: string
}

export type Certificates = {
  /** What callers trust. */
  readonly edgeRoot: string
  readonly edge: Credentials
  /** The mesh's roots. */
  readonly meshRoots: string
  readonly upstream: Credentials
  readonly gateway: Credentials
  readonly rival: Credentials
  /** Where the exchange of this mesh keeps its keys: they are there before it starts. */
  readonly exchangeKeys: string
}

const hourMs = 3_600_000

/** Makes all certificates, the mesh's by the code of the exchange, whose keys are made for it beforehand. */
export const makeCertificates = async (folder: string): Promise<Certificates> => {
  const exchangeKeys = join(folder, 'keys')
  const authority = await openAuthority({
    store: diskKeyStore(exchangeKeys),
    trustDomain,
    lifetimes: {
      rootMs: 8760 * hourMs,
      intermediateMs: 168 * hourMs,
      jwtKeyMs: 24 * hourMs,
      longestX509SvidMs: 24 * hourMs,
      longestTokenMs: hourMs,
    },
    clock: systemClock,
    randomBytes: systemRandomBytes,
  })
  const save = (name: string, text: string): string => {
    const file = join(folder, name)
    writeFileSync(file, text, { mode: 0o600 })
    return file
  }
  const credentials = (name: string, certificate: string, key: string): Credentials => ({
    certificate: save(`${name}.pem`, certificate),
    key: save(`${name}.key`, key),
    bundle: save(`${name}.bundle.pem`, certificate + key),
  })
  const svid = async (name: string, spiffeId: SpiffeId, dnsNames: readonly string[]) => {
    const { privateKey, publicKey } = await generateP256()
    const request = { spiffeId, publicKey, lifetimeMs: 12 * hourMs, dnsNames }
    const issuer = authority.current().issuer
    const { chainPem } = issueX509Svid(request, issuer, systemClock(), systemRandomBytes)
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    return credentials(name, chainPem, key)
  }
  const outside = await outsideCa()
  const edge = await outside.issue('edge')
  return {
    edgeRoot: save('edge-root.pem', outside.root),
    edge: credentials('edge', edge.certificate, edge.privateKey),
    meshRoots: save('mesh-roots.pem', authority.current().rootsPem),
    upstream: await svid('upstream', ids.orders, [upstreamName]),
    gateway: await svid('gateway', ids.gateway, []),
    rival: await svid('rival', ids.rival, []),
    exchangeKeys,
  }
}
