import { execFileSync } from 'node:child_process'
import { generateKeyPairSync, X509Certificate, type KeyObject } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A certificate with its key, made by the openssl command: by a hand other than ours. */
export type MadeCertificate = {
  readonly pem: string
  readonly der: Buffer
  readonly key: KeyObject
  readonly keyPem: string
}

export type CertificateWish = {
  readonly issuer?: MadeCertificate
  /** As openssl's `-subj`; `/` for none. */
  readonly subject?: string
  /** Lines of an openssl extension section. */
  readonly extensions: readonly string[]
  readonly key?: KeyObject
  readonly days?: number
}

export const newKey = (namedCurve = 'P-256'): KeyObject =>
  generateKeyPairSync('ec', { namedCurve }).privateKey

/** Makes a certificate; self-signed without an issuer. */
export const makeCertificate = ({
  issuer,
  subject = '/',
  extensions,
  key = newKey(),
  days = 1,
}: CertificateWish): MadeCertificate => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-openssl-'))
  try {
    const at = (name: string) => join(folder, name)
    const keyPem = key.export({ type: 'pkcs8', format: 'pem' }).toString()
    writeFileSync(at('key.pem'), keyPem)
    writeFileSync(
      at('config'),
      ['[req]', 'distinguished_name = dn', '[dn]', '[v3]', ...extensions, ''].join('\n'),
    )
    const signer = issuer ? ['-CA', at('ca.pem'), '-CAkey', at('ca.key')] : []
    if (issuer) {
      writeFileSync(at('ca.pem'), issuer.pem)
      writeFileSync(at('ca.key'), issuer.keyPem)
    }
    execFileSync(
      'openssl',
      ['req', '-x509', '-new', '-sha256', '-subj', subject, '-days', String(days)]
        .concat(['-key', at('key.pem'), '-config', at('config'), '-extensions', 'v3'])
        .concat(signer, ['-out', at('out.pem')]),
      { stdio: 'pipe' },
    )
    const pem = readFileSync(at('out.pem'), 'utf8')
    return { pem, der: new X509Certificate(pem).raw, key, keyPem }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

export const rootExtensions = (uri?: string): readonly string[] => [
  'basicConstraints = critical, CA:TRUE',
  'keyUsage = critical, keyCertSign, cRLSign',
  'subjectKeyIdentifier = hash',
  ...(uri === undefined ? [] : [`subjectAltName = URI:${uri}`]),
]

/** What a proper X509-SVID has, for a test to take something away or to add to it. */
export const leafExtensions = (names: string): readonly string[] => [
  'basicConstraints = critical, CA:FALSE',
  'keyUsage = critical, digitalSignature',
  'extendedKeyUsage = serverAuth, clientAuth',
  `subjectAltName = critical, ${names}`,
]

export const makeRoot = (trustDomain: string, commonName = 'root'): MadeCertificate =>
  makeCertificate({
    subject: `/CN=${commonName}`,
    extensions: rootExtensions(`spiffe://${trustDomain}`),
  })

export const makeSvid = (
  issuer: MadeCertificate,
  spiffeId: string,
  more: readonly string[] = ['DNS:localhost', 'IP:127.0.0.1'],
): MadeCertificate =>
  makeCertificate({
    issuer,
    extensions: leafExtensions([`URI:${spiffeId}`, ...more].join(', ')),
  })

/** Certifies the key of a request, whose signature openssl checks. */
export const signCsr = (
  issuer: MadeCertificate,
  csr: string,
  extensions: readonly string[],
  days = 1,
): string => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-openssl-'))
  try {
    const at = (name: string) => join(folder, name)
    writeFileSync(at('csr.pem'), csr)
    writeFileSync(at('ca.pem'), issuer.pem)
    writeFileSync(at('ca.key'), issuer.keyPem)
    writeFileSync(at('extensions'), ['[v3]', ...extensions, ''].join('\n'))
    return execFileSync(
      'openssl',
      ['x509', '-req', '-in', at('csr.pem'), '-sha256', '-days', String(days), '-extensions', 'v3']
        .concat(['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial'])
        .concat(['-extfile', at('extensions')]),
      { encoding: 'utf8', stdio: 'pipe' },
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
}
