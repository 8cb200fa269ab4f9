import {
  parseTrustDomain,
  trustDomainOf,
  parseSpiffeId,
  type TrustDomain,
} from '#contract/spiffe-id'
import { bad, good, type Outcome } from '../outcome.ts'
import { derElements, readingDer } from '../svid/der.ts'
import { pemOf } from '../svid/pem.ts'
import { fieldsOf, type Field } from './protobuf.ts'

/** One of the identities that an agent has for us. */
export type AgentSvid = {
  /** As the agent says; the certificate has to say the same. */
  readonly spiffeId: string
  /** PEM, leaf first. */
  readonly certificateChain: string
  /** PEM. */
  readonly privateKey: string
  /** PEM roots of its trust domain. */
  readonly bundle: string
}

/** X509SVIDResponse: svids = 1, crl = 2, federated_bundles = 3. X509SVID: hint = 5, and these. */
const svidsField = 1
const svidField = { spiffeId: 1, x509Svid: 2, x509SvidKey: 3, bundle: 4 } as const
/** X509BundlesResponse: crl = 1, bundles = 2. JWTBundlesResponse: bundles = 1. An entry of a map: key = 1, value = 2. */
const x509BundlesField = 2
const jwtBundlesField = 1
const mapKey = 1
const mapValue = 2

const maxSvids = 100

/**
 * Reads an answer of `FetchX509SVID`: all identities that we have there, the default one first.
 *
 * @returns A fault for one that is broken anywhere: what it meant is not to be guessed.
 * @see SPIFFE Workload API §5.2.1; workload.proto of github.com/spiffe/spiffe (Apache-2.0)
 */
export const readX509Svids = (message: Buffer): Outcome<readonly AgentSvid[]> => {
  const fields = fieldsOf(message)
  if (!fields.ok) return fields
  const svids: AgentSvid[] = []
  for (const value of valuesOf(fields.value, svidsField)) {
    const svid = readSvid(value)
    if (!svid.ok) return svid
    svids.push(svid.value)
  }
  if (svids.length === 0) return bad('it has no SVID')
  if (svids.length > maxSvids) return bad(`it has more than ${maxSvids} SVIDs`)
  return good(svids)
}

/** Reads an answer of `FetchX509Bundles`: PEM roots by trust domain. */
export const readX509Bundles = (message: Buffer): Outcome<ReadonlyMap<TrustDomain, string>> => {
  const fields = fieldsOf(message)
  return fields.ok ? readMap(fields.value, x509BundlesField, certificatesAsPem) : fields
}

/** Reads an answer of `FetchJWTBundles`: JWK Sets, as they stand there, by trust domain. */
export const readJwtBundles = (message: Buffer): Outcome<ReadonlyMap<TrustDomain, Buffer>> => {
  const fields = fieldsOf(message)
  return fields.ok ? readMap(fields.value, jwtBundlesField, good) : fields
}

const valuesOf = (fields: readonly Field[], number: number): readonly Buffer[] =>
  fields.filter((field) => field.number === number).map(({ value }) => value)

/** The last one counts, as protobuf has it. */
const lastOf = (fields: readonly Field[], number: number): Buffer =>
  valuesOf(fields, number).at(-1) ?? Buffer.alloc(0)

const readSvid = (message: Buffer): Outcome<AgentSvid> => {
  const fields = fieldsOf(message)
  if (!fields.ok) return fields
  const chain = certificatesAsPem(lastOf(fields.value, svidField.x509Svid))
  if (!chain.ok) return bad(`a certificate chain: ${chain.fault}`)
  const bundle = certificatesAsPem(lastOf(fields.value, svidField.bundle))
  if (!bundle.ok) return bad(`a bundle: ${bundle.fault}`)
  return good({
    spiffeId: lastOf(fields.value, svidField.spiffeId).toString('utf8'),
    certificateChain: chain.value,
    privateKey: pemOf('PRIVATE KEY', lastOf(fields.value, svidField.x509SvidKey)),
    bundle: bundle.value,
  })
}

const readMap = <T>(
  fields: readonly Field[],
  number: number,
  read: (value: Buffer) => Outcome<T>,
): Outcome<ReadonlyMap<TrustDomain, T>> => {
  const all = new Map<TrustDomain, T>()
  for (const entry of valuesOf(fields, number)) {
    const parts = fieldsOf(entry)
    if (!parts.ok) return parts
    const domain = domainOf(lastOf(parts.value, mapKey).toString('utf8'))
    if (!domain.ok) return domain
    if (all.has(domain.value)) return bad('it has two bundles of one trust domain')
    const value = read(lastOf(parts.value, mapValue))
    if (!value.ok) return bad(`the bundle of ${domain.value}: ${value.fault}`)
    all.set(domain.value, value.value)
  }
  return good(all)
}

/** The standard wants the SPIFFE ID of the trust domain there; some agents write its name alone. */
const domainOf = (text: string): Outcome<TrustDomain> => {
  const id = parseSpiffeId(text)
  if (id.ok) return good(trustDomainOf(id.value))
  const domain = parseTrustDomain(text)
  return domain.ok ? good(domain.value) : bad('a bundle in it is of no trust domain')
}

/** Certificates that stand one after the other, as DER. */
const certificatesAsPem = (bytes: Buffer): Outcome<string> => {
  const elements = readingDer(() => derElements(bytes))
  if (!elements.ok) return elements
  if (elements.value.length === 0) return bad('there is no certificate in it')
  return good(elements.value.map((element) => pemOf('CERTIFICATE', element.bytes)).join(''))
}
