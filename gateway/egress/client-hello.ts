/** What the first bytes of a tunnel say of the TLS that is to be spoken in it. */
export type ClientHello =
  | {
      readonly kind: 'incomplete'
      /** As long as there are fewer bytes than this, it cannot be whole. */
      readonly atLeastBytes: number
    }
  | { readonly kind: 'not-tls' }
  | { readonly kind: 'malformed'; readonly why: string }
  | {
      readonly kind: 'hello'
      /** SNI, lower-case; undefined if it names no server. */
      readonly serverName: string | undefined
      /** Whether the name that is meant may be another, in an encrypted ClientHello. */
      readonly isEncrypted: boolean
      /** How many of the bytes it takes, with its records. */
      readonly takesBytes: number
    }

const malformed = (why: string) => ({ kind: 'malformed', why }) as const

export const recordHeaderBytes = 5
export const handshakeRecord = 22
export const maxRecordBytes = 16_384
const messageHeaderBytes = 4
const clientHelloMessage = 1
const serverNameExtension = 0
const encryptedClientHelloExtension = 0xfe0d
const hostNameType = 0

/**
 * Reads a ClientHello, in one record or in several, as far as it has arrived. It is read as strictly as a server would: of
 * what two could read differently nothing is taken.
 *
 * @see RFC 8446 §4.1.2 and §5.1, RFC 6066 §3, draft-ietf-tls-esni
 */
export const readClientHello = (bytes: Buffer): ClientHello => {
  const handshake = handshakeIn(bytes)
  if ('kind' in handshake) return handshake
  const { message, takesBytes } = handshake
  if (message[0] !== clientHelloMessage) return malformed('its first message is no ClientHello')
  if (message.length > messageBytes(message))
    return malformed('there is more behind the ClientHello')
  return readHello(message.subarray(messageHeaderBytes), takesBytes)
}

type Handshake = { readonly message: Buffer; readonly takesBytes: number }

/** The handshake bytes of the records that are there, once they hold a whole message. */
const handshakeIn = (bytes: Buffer): Handshake | ClientHello => {
  const parts: Buffer[] = []
  let partBytes = 0
  let wantedBytes: number | undefined // of the message; known once its header is there
  for (let at = 0; at < bytes.length;) {
    if (bytes[at] !== handshakeRecord)
      return at === 0 ? { kind: 'not-tls' } : malformed('another record stands within it')
    if (bytes.length - at >= 2 && bytes[at + 1] !== 3)
      return at === 0 ? { kind: 'not-tls' } : malformed('a record is of no version of TLS')
    if (bytes.length - at < recordHeaderBytes) break
    const length = bytes.readUInt16BE(at + 3)
    if (length === 0 || length > maxRecordBytes) return malformed('a record has no usable length')
    const from = at + recordHeaderBytes
    const part = bytes.subarray(from, from + length)
    parts.push(part)
    partBytes += part.length
    at = from + length
    if (partBytes < messageHeaderBytes) continue
    wantedBytes ??= messageBytes(Buffer.concat(parts))
    // What follows a whole one is none of ours: early data, or a change of ciphers for middleboxes.
    if (partBytes >= wantedBytes) return { message: Buffer.concat(parts), takesBytes: at }
  }
  const missingBytes = Math.max(1, (wantedBytes ?? messageHeaderBytes) - partBytes)
  return { kind: 'incomplete', atLeastBytes: bytes.length + missingBytes }
}

const messageBytes = (message: Buffer): number => messageHeaderBytes + message.readUIntBE(1, 3)

const readHello = (hello: Buffer, takesBytes: number): ClientHello => {
  const reader = readerOf(hello)
  reader.skip(2 + 32) // legacy_version, random
  reader.vector(1) // legacy_session_id
  reader.vector(2) // cipher_suites
  reader.vector(1) // legacy_compression_methods
  if (reader.isBroken()) return malformed('it is cut short')
  if (reader.left() === 0)
    return { kind: 'hello', serverName: undefined, isEncrypted: false, takesBytes }
  const extensions = readerOf(reader.vector(2))
  if (reader.isBroken() || reader.left() > 0) return malformed('its extensions are cut short')
  const seen = new Set<number>()
  let serverName: string | undefined
  while (extensions.left() > 0) {
    const type = extensions.number(2)
    const body = extensions.vector(2)
    if (extensions.isBroken()) return malformed('an extension is cut short')
    if (seen.has(type)) return malformed('an extension stands there twice')
    seen.add(type)
    if (type !== serverNameExtension) continue
    serverName = nameIn(body)
    if (serverName === undefined) return malformed('its server name is no host name')
  }
  const isEncrypted = seen.has(encryptedClientHelloExtension)
  return { kind: 'hello', serverName, isEncrypted, takesBytes }
}

const serverNamePattern = /^[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?$/i

/** RFC 6066 §3: a list, which has exactly one name in practice and here. */
const nameIn = (body: Buffer): string | undefined => {
  const outer = readerOf(body)
  const list = readerOf(outer.vector(2))
  const type = list.number(1)
  const name = list.vector(2).toString('latin1')
  const isSound = !outer.isBroken() && outer.left() === 0 && !list.isBroken() && list.left() === 0
  return isSound && type === hostNameType && serverNamePattern.test(name)
    ? name.toLowerCase()
    : undefined
}

/** Reads on through bytes; beyond their end it gives nothing and says that it is broken. */
const readerOf = (bytes: Buffer) => {
  let at = 0
  let broken = false
  const take = (count: number): Buffer => {
    if (count > bytes.length - at) {
      broken = true
      return Buffer.alloc(0)
    }
    at += count
    return bytes.subarray(at - count, at)
  }
  const number = (size: number): number => {
    const part = take(size)
    return part.length === size ? part.readUIntBE(0, size) : 0
  }
  return {
    number,
    skip: (count: number) => void take(count),
    /** What stands behind its own length of `size` bytes. */
    vector: (size: number): Buffer => take(number(size)),
    left: () => bytes.length - at,
    isBroken: () => broken,
  }
}
