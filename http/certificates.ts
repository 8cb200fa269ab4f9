import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Clock } from '#contract/clock'
import { secret, type Secret } from '#contract/secret'

/** A server's certificate and key, as they were given. */
export type CertificateSource = {
  /** PEM, leaf first, then its intermediates. */
  readonly certificate: string
  /** PEM, not encrypted. */
  readonly key: Secret<string>
  /** What to call them in a message: the names of their files. */
  readonly certificateName: string
  readonly keyName: string
}

/** A certificate that can serve: read, in force, and with the key that belongs to it. */
export type ServerCertificate = CertificateSource & {
  /** DNS names of its leaf, lower-case; `*.` stands for one label. */
  readonly names: readonly string[]
  /** When it ends, in milliseconds since 1970. */
  readonly notAfterMs: number
}

export type CertificateFiles = { readonly certificateFile: string; readonly keyFile: string }

/** A fault in what an operator gave us; its message says where it is and what to do. */
const fault = (message: string, cause?: unknown) => new Error(message, { cause })

/** @throws Error naming the file that cannot be read and why. */
export const readCertificateFiles = async ({
  certificateFile,
  keyFile,
}: CertificateFiles): Promise<CertificateSource> => ({
  certificate: await readText(certificateFile, 'certificate'),
  key: secret(await readText(keyFile, 'key')),
  certificateName: certificateFile,
  keyName: keyFile,
})

/** PEM certificates, as they are in the file. @throws Error that names it and the remedy. */
export const readRoots = (file: string): Promise<string> => readText(file, 'list of certificates')

const readFaults: Record<string, string> = {
  ENOENT: 'there is no such file; check the path, which is relative to the file that names it',
  EACCES: 'this user may not read it; change its owner or mode',
  EISDIR: 'it is a folder; name the PEM file in it',
}

const readText = async (file: string, what: string): Promise<string> => {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    const { code = '' } = cause as NodeJS.ErrnoException
    throw fault(`${file}: cannot read this ${what}: ${readFaults[code] ?? code}`, cause)
  }
}

/**
 * Checks that a certificate can serve.
 *
 * @throws Error that names the file and the remedy: not PEM, no longer or not yet valid, a key of another certificate, a
 *   chain in the wrong order.
 */
export const checkCertificate = (source: CertificateSource, clock: Clock): ServerCertificate => {
  const { certificateName, keyName } = source
  const [leaf, ...issuers] = certificatesIn(source.certificate, certificateName)
  if (leaf === undefined)
    throw fault(`${certificateName}: no certificate in it; it must be PEM, leaf first`)
  const nowMs = clock()
  if (nowMs >= leaf.validToDate.getTime())
    throw fault(`${certificateName}: expired on ${leaf.validTo}; put a new certificate there`)
  if (nowMs < leaf.validFromDate.getTime())
    throw fault(
      `${certificateName}: valid only from ${leaf.validFrom}; check the clock of this machine`,
    )
  if (!leaf.checkPrivateKey(privateKeyIn(source.key.reveal(), keyName)))
    throw fault(
      `${keyName}: this key does not match the certificate in ${certificateName}; take the one that it was issued for`,
    )
  let subject = leaf
  for (const issuer of issuers) {
    if (!subject.checkIssued(issuer))
      throw fault(
        `${certificateName}: its certificates are not in order; put the leaf first, then each one's issuer`,
      )
    subject = issuer
  }
  return { ...source, names: namesOf(leaf), notAfterMs: leaf.validToDate.getTime() }
}

const pemCertificate = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

const certificatesIn = (pem: string, name: string): X509Certificate[] =>
  (pem.match(pemCertificate) ?? []).map((text) => {
    try {
      return new X509Certificate(text)
    } catch (cause) {
      throw fault(`${name}: holds something that is no certificate; is the file whole?`, cause)
    }
  })

const privateKeyIn = (pem: string, name: string): KeyObject => {
  try {
    return createPrivateKey(pem)
  } catch (cause) {
    throw fault(`${name}: no private key in it; it must be PEM and not encrypted`, cause)
  }
}

/**
 * DNS names of a certificate. Its text form is only where candidates are looked for; whether a candidate really is one
 * of its names, the certificate itself says.
 */
const namesOf = (leaf: X509Certificate): string[] =>
  (leaf.subjectAltName ?? '')
    .split(', ')
    .map((entry) => dnsEntry.exec(entry)?.[1]?.toLowerCase() ?? '')
    .filter((name) => name !== '' && leaf.checkHost(name.replace(/^\*/, 'x'), strictly))

const dnsEntry = /^DNS:((?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)*)$/i
const strictly = { subject: 'never', multiLabelWildcards: false, partialWildcards: false } as const
