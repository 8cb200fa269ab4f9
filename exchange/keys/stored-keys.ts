import { createHash, createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto'
import type { Retired, Slots } from '../ca/slots.ts'
import type { CertifiedKey, InspectionCa, KeyState, SigningKey } from './key-store.ts'
import { p256PublicKeyOf, thumbprintOf } from '../ca/p256.ts'

const format = 'sallyport-exchange-keys-1'

/** The text that is written to disk. It holds private keys. */
export const encodeKeys = (state: KeyState): string => {
  const keys = {
    trustDomain: state.trustDomain,
    sequence: state.sequence,
    roots: slotsToJson(state.roots, certifiedToJson, retiredCertifiedToJson),
    intermediates: slotsToJson(state.intermediates, certifiedToJson, retiredCertifiedToJson),
    jwtKeys: slotsToJson(state.jwtKeys, signingToJson, retiredToJson),
    ...(state.besides === undefined ? {} : { besides: state.besides }),
    ...(state.inspectionCas && {
      inspectionCas: slotsToJson(state.inspectionCas, inspectionToJson, retiredInspectionToJson),
    }),
  }
  return `${JSON.stringify({ format, digest: digestOf(keys), keys }, undefined, 2)}\n`
}

/**
 * Reads that text. Every key must belong to its id and to its certificate.
 *
 * @throws Error saying what is wrong, without any content of the file.
 */
export const decodeKeys = (text: string): KeyState => {
  const file = object(parse(text), 'the file')
  if (file['format'] !== format) throw new Error(`its format is not ${format}`)
  const keys = object(file['keys'], 'keys')
  if (file['digest'] !== digestOf(keys)) throw new Error('its digest is wrong: it was changed')
  return {
    trustDomain: string(keys['trustDomain'], 'trustDomain'),
    sequence: integer(keys['sequence'], 'sequence'),
    roots: slotsFromJson(keys['roots'], 'roots', certifiedFromJson, retiredCertifiedFromJson),
    intermediates: slotsFromJson(
      keys['intermediates'],
      'intermediates',
      certifiedFromJson,
      retiredCertifiedFromJson,
    ),
    jwtKeys: slotsFromJson(keys['jwtKeys'], 'jwtKeys', signingFromJson, retiredFromJson),
    ...(keys['besides'] === undefined ? {} : { besides: string(keys['besides'], 'besides') }),
    ...(keys['inspectionCas'] === undefined
      ? {}
      : {
          inspectionCas: slotsFromJson(
            keys['inspectionCas'],
            'inspectionCas',
            inspectionFromJson,
            retiredInspectionFromJson,
          ),
        }),
  }
}

/** Against accidents (half a file, a careless edit); who can write the file can write the digest. */
const digestOf = (keys: unknown): string =>
  createHash('sha256').update(JSON.stringify(keys)).digest('hex')

type Json = Readonly<Record<string, unknown>>
type RetiredKey<Key> = Omit<Key, 'privateKey'>

const slotsToJson = <Key extends SigningKey>(
  slots: Slots<Key>,
  keyToJson: (key: Key) => Json,
  retiredKeyToJson: (key: RetiredKey<Key>) => Json,
): Json => ({
  active: keyToJson(slots.active),
  next: slots.next === undefined ? null : keyToJson(slots.next),
  retired: slots.retired.map(({ key, retiredAtMs, publishedUntilMs }) => ({
    key: retiredKeyToJson(key),
    retiredAtMs,
    publishedUntilMs,
  })),
})

const slotsFromJson = <Key extends SigningKey>(
  value: unknown,
  at: string,
  keyFromJson: (value: unknown, at: string) => Key,
  retiredKeyFromJson: (value: unknown, at: string) => RetiredKey<Key>,
): Slots<Key> => {
  const slots = object(value, at)
  const retired = slots['retired']
  if (!Array.isArray(retired)) throw new Error(`${at}.retired is not a list`)
  return {
    active: keyFromJson(slots['active'], `${at}.active`),
    next: slots['next'] === null ? undefined : keyFromJson(slots['next'], `${at}.next`),
    retired: retired.map((entry: unknown, i): Retired<Key> => {
      const { key, retiredAtMs, publishedUntilMs } = object(entry, `${at}.retired[${i}]`)
      return {
        key: retiredKeyFromJson(key, `${at}.retired[${i}].key`),
        retiredAtMs: integer(retiredAtMs, `${at}.retired[${i}].retiredAtMs`),
        publishedUntilMs: integer(publishedUntilMs, `${at}.retired[${i}].publishedUntilMs`),
      }
    }),
  }
}

const livedToJson = ({ id, createdAtMs, notAfterMs }: RetiredKey<SigningKey>) => ({
  id,
  createdAtMs,
  notAfterMs,
})
const signingToJson = (key: SigningKey): Json => ({
  ...livedToJson(key),
  privateKey: key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
})
const certifiedToJson = (key: CertifiedKey): Json => ({
  ...signingToJson(key),
  subject: key.subject,
  certificate: key.certificate.toString('base64'),
})
const retiredToJson = (key: RetiredKey<SigningKey>): Json => ({
  ...livedToJson(key),
  publicKey: key.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
})
const retiredCertifiedToJson = (key: RetiredKey<CertifiedKey>): Json => ({
  ...retiredToJson(key),
  subject: key.subject,
  certificate: key.certificate.toString('base64'),
})

const inspectionToJson = (key: InspectionCa): Json => ({
  ...certifiedToJson(key),
  permitted: key.permitted,
})
const retiredInspectionToJson = (key: RetiredKey<InspectionCa>): Json => ({
  ...retiredCertifiedToJson(key),
  permitted: key.permitted,
})

const livedFromJson = (json: Json, at: string) => ({
  id: string(json['id'], `${at}.id`),
  createdAtMs: integer(json['createdAtMs'], `${at}.createdAtMs`),
  notAfterMs: integer(json['notAfterMs'], `${at}.notAfterMs`),
})

const privateHalf = (json: Json, at: string) => {
  const pem = string(json['privateKey'], `${at}.privateKey`)
  const privateKey = readKey(() => createPrivateKey(pem), `${at}.privateKey`)
  return { privateKey, publicKey: createPublicKey(privateKey) }
}

const publicHalf = (json: Json, at: string) => {
  const pem = string(json['publicKey'], `${at}.publicKey`)
  return { publicKey: readKey(() => createPublicKey(pem), `${at}.publicKey`) }
}

const certificateOf = (json: Json, key: Pick<SigningKey, 'id' | 'publicKey'>, at: string) => {
  const certificate = Buffer.from(string(json['certificate'], `${at}.certificate`), 'base64')
  const parsed = readCertificate(certificate, at)
  if (!parsed.publicKey.equals(key.publicKey))
    throw new Error(`${at}.certificate is for another key`)
  if (p256PublicKeyOf(key.publicKey).keyId.toString('hex') !== key.id)
    throw new Error(`${at}.id is of another key`)
  return { certificate, subject: string(json['subject'], `${at}.subject`) }
}

const jwtKey = <Key extends Pick<SigningKey, 'id' | 'publicKey'>>(key: Key, at: string): Key => {
  if (thumbprintOf(p256PublicKeyOf(key.publicKey)) !== key.id)
    throw new Error(`${at}.id is of another key`)
  return key
}

const signingFromJson = (value: unknown, at: string): SigningKey => {
  const json = object(value, at)
  return jwtKey({ ...livedFromJson(json, at), ...privateHalf(json, at) }, at)
}
const retiredFromJson = (value: unknown, at: string): RetiredKey<SigningKey> => {
  const json = object(value, at)
  return jwtKey({ ...livedFromJson(json, at), ...publicHalf(json, at) }, at)
}
const certifiedFromJson = (value: unknown, at: string): CertifiedKey => {
  const json = object(value, at)
  const key = { ...livedFromJson(json, at), ...privateHalf(json, at) }
  return { ...key, ...certificateOf(json, key, at) }
}
const retiredCertifiedFromJson = (value: unknown, at: string): RetiredKey<CertifiedKey> => {
  const json = object(value, at)
  const key = { ...livedFromJson(json, at), ...publicHalf(json, at) }
  return { ...key, ...certificateOf(json, key, at) }
}

const permittedIn = (value: unknown, at: string) => {
  const { permitted } = object(value, at)
  if (!Array.isArray(permitted)) throw new Error(`${at}.permitted is not a list`)
  return { permitted: permitted.map((name) => string(name, `${at}.permitted`)) }
}
const inspectionFromJson = (value: unknown, at: string): InspectionCa => ({
  ...certifiedFromJson(value, at),
  ...permittedIn(value, at),
})
const retiredInspectionFromJson = (value: unknown, at: string): RetiredKey<InspectionCa> => ({
  ...retiredCertifiedFromJson(value, at),
  ...permittedIn(value, at),
})

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    throw new Error('it is not JSON') // the parser's own message would quote the file, keys and all
  }
}

const readKey = <Key>(read: () => Key, at: string): Key => {
  try {
    return read()
  } catch {
    throw new Error(`${at} is not a key`)
  }
}

const readCertificate = (der: Buffer, at: string): X509Certificate => {
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(der)
  } catch {
    throw new Error(`${at}.certificate is not a certificate`)
  }
  // The parser takes bytes after the end.
  if (!certificate.raw.equals(der)) throw new Error(`${at}.certificate has a surplus`)
  return certificate
}

const object = (value: unknown, at: string): Json => {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${at} is not an object`)
  return value as Json
}
const string = (value: unknown, at: string): string => {
  if (typeof value !== 'string') throw new Error(`${at} is not a text`)
  return value
}
const integer = (value: unknown, at: string): number => {
  if (!Number.isSafeInteger(value) || (value as number) < 0)
    throw new Error(`${at} is not a whole number`)
  return value as number
}
