import { createHash, createHmac, timingSafeEqual, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { LegacyMethod } from '#contract/legacy'
import type { SpiffeId } from '#contract/spiffe-id'
import type { ExchangeConfig, LegacyCaller } from '#config/schema'
import type { CertificateRule } from '#identity/credentials/client-certificate'
import { secretHash, type FitsSecret } from '#identity/credentials/secret-hash'
import { acceptJwkSet } from '#identity/jwt/jwks'
import { certificatesOf } from '#identity/svid/pem'
import { revocationFile } from './revocation-file.ts'

export type LegacyIdentity = {
  readonly name: string
  readonly spiffeId: SpiffeId
  readonly method: LegacyMethod
}

/** `algorithm` as RFC 9421 §3.3 names it. */
export type SigningCheck = {
  readonly algorithm: string
  readonly verify: (base: string, signature: Buffer) => boolean
}

export type LegacyRegistry = {
  readonly size: number
  /** By SHA-256, hex: whoever measures how long a look-up takes learns of the hash, not of the key. */
  readonly byApiKey: ReadonlyMap<string, LegacyIdentity>
  readonly byPassword: ReadonlyMap<
    string,
    { readonly identity: LegacyIdentity; readonly fits: readonly FitsSecret[] }
  >
  readonly byKeyId: ReadonlyMap<
    string,
    { readonly identity: LegacyIdentity; readonly check: SigningCheck }
  >
  readonly byCertificate: readonly {
    readonly identity: LegacyIdentity
    /** Asked anew for each certificate: the list of revocations may have changed. */
    readonly rule: () => Promise<CertificateRule>
  }[]
}

const minSecretBytes = 32

/**
 * Reads the legacy callers of the configuration with their keys.
 *
 * @throws Error that names the caller and what the operator has to mend.
 */
export const legacyRegistry = async ({
  callers,
}: ExchangeConfig['legacy']): Promise<LegacyRegistry> => {
  const byApiKey = new Map<string, LegacyIdentity>()
  const byPassword: Mutable<LegacyRegistry['byPassword']> = new Map()
  const byKeyId: Mutable<LegacyRegistry['byKeyId']> = new Map()
  const byCertificate: LegacyRegistry['byCertificate'][number][] = []
  for (const [name, { spiffeId, credential }] of Object.entries(callers)) {
    const { method } = credential
    const identity = { name, spiffeId: spiffeId as SpiffeId, method }
    switch (credential.method) {
      case 'api_key':
        for (const text of credential.keyHashes) {
          const hash = text.slice(text.indexOf(':') + 1)
          if (byApiKey.has(hash))
            throw new Error(`legacy.callers.${name}: another caller has this key`)
          byApiKey.set(hash, identity)
        }
        break
      case 'basic':
        byPassword.set(name, { identity, fits: credential.passwordHashes.map(secretHash) })
        break
      case 'signed_request':
        byKeyId.set(name, { identity, check: await signingCheck(name, credential) })
        break
      case 'client_certificate':
        byCertificate.push({ identity, rule: await certificateRule(name, credential) })
        break
      default:
        return credential satisfies never
    }
  }
  const size = Object.keys(callers).length
  return { size, byApiKey, byPassword, byKeyId, byCertificate }
}

type Mutable<M> = M extends ReadonlyMap<infer K, infer V> ? Map<K, V> : never
type Of<M extends LegacyMethod> = Extract<LegacyCaller['credential'], { method: M }>

const signingCheck = async (
  name: string,
  { jwksFile, secret }: Of<'signed_request'>,
): Promise<SigningCheck> => {
  const at = `legacy.callers.${name}.credential`
  if ((jwksFile === undefined) === (secret === undefined))
    throw new Error(`${at}: write either \`jwksFile\` or \`secret\``)
  if (secret !== undefined) {
    if (Buffer.byteLength(secret.reveal()) < minSecretBytes)
      throw new Error(`${at}.secret has fewer than ${minSecretBytes} bytes`)
    return {
      algorithm: 'hmac-sha256',
      verify: (base, signature) => {
        const wanted = createHmac('sha256', secret.reveal()).update(base).digest()
        return signature.length === wanted.length && timingSafeEqual(signature, wanted)
      },
    }
  }
  const set = await acceptJwkSet(await readFile(jwksFile ?? ''), ['ES256', 'EdDSA'])
  if (!set.ok) throw new Error(`${at}.jwksFile: ${set.fault}`)
  const [key, ...more] = set.value.keys.values()
  if (key === undefined || more.length > 0)
    throw new Error(`${at}.jwksFile must have one usable key`)
  return {
    algorithm: key.algorithm === 'ES256' ? 'ecdsa-p256-sha256' : 'ed25519',
    verify: key.verify,
  }
}

const certificateRule = async (
  name: string,
  { caFile, dnsNames, crlFile }: Of<'client_certificate'>,
): Promise<() => Promise<CertificateRule>> => {
  const ders = certificatesOf(await readFile(caFile, 'utf8'))
  if (!ders.ok) throw new Error(`legacy.callers.${name}.credential.caFile: ${ders.fault}`)
  const cas = ders.value.map((der) => new X509Certificate(der))
  if (crlFile === undefined) {
    const rule = { cas, dnsNames, revoked: undefined }
    return async () => rule
  }
  const read = revocationFile(crlFile)
  return async () => ({ cas, dnsNames, revoked: await read() })
}

export const apiKeyHash = (key: string): string => createHash('sha256').update(key).digest('hex')
