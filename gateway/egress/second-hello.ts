import type { ServerNameVerdict } from '#contract/audit-event'
import {
  handshakeRecord,
  maxRecordBytes,
  readClientHello,
  recordHeaderBytes,
} from './client-hello.ts'
import { maxHelloBytes, type Hello } from './peek-client-hello.ts'
import type { TunnelRefusal, TunnelWatch } from './tunnel-watch.ts'

export type RefusedHello = { readonly verdict: ServerNameVerdict; readonly cause?: string }

/** What a ServerHello has for its random where it asks for another ClientHello (RFC 8446 §4.1.3). */
const retryRandom = Buffer.from(
  'cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c',
  'hex',
)
const serverHelloMessage = 2
/** Of the message: type, length and version stand before it. */
const randomAt = 6
const randomEnds = randomAt + retryRandom.length
/** However small the records are that it comes in. */
const maxAnswerBytes = 512
const nothing = Buffer.alloc(0)

/**
 * Watches the beginning of a handshake: a destination may ask for a second ClientHello, and goes by what that one says. It
 * must name what the first one named, and hide no more (RFC 8446 §4.1.2). What cannot be read so that this is certain is
 * refused; where the destination answers at once, or speaks no TLS, there is nothing to watch any more.
 *
 * @param first The ClientHello that was accepted; all that goes out comes through here, beginning with it.
 * @param refuse Makes of a verdict what ends the tunnel.
 */
export const watchSecondHello = (
  first: Hello,
  refuse: (refused: RefusedHello) => TunnelRefusal,
): TunnelWatch => {
  const answer = answerReader()
  const records = recordWalk(first.takesBytes)
  let state: 'unanswered' | 'to be repeated' | 'over' = 'unanswered'
  let second: Buffer = nothing
  let atLeastBytes = 0

  const inSecond = (chunk: Buffer): Buffer | TunnelRefusal => {
    second = Buffer.concat([second, chunk])
    if (second.length < Math.min(atLeastBytes, maxHelloBytes)) return nothing
    const hello = readClientHello(second)
    if (hello.kind === 'incomplete') {
      if (second.length >= maxHelloBytes) return refuse({ verdict: 'too-long', cause: itsSecond })
      atLeastBytes = hello.atLeastBytes
      return nothing
    }
    if (hello.kind !== 'hello') return refuse({ verdict: 'malformed', cause: itsSecond })
    if (hello.serverName !== first.serverName)
      return refuse({
        verdict: 'mismatch',
        cause: `${itsSecond} names ${hello.serverName ?? 'nobody'}`,
      })
    if (hello.isEncrypted !== first.isEncrypted)
      return refuse({ verdict: 'encrypted', cause: `${itsSecond} is not as the first one` })
    state = 'over'
    const whole = second
    second = nothing
    return whole
  }

  return {
    isOver: () => state === 'over',
    out: (chunk) => {
      if (state === 'over') return chunk
      if (second.length > 0) return inSecond(chunk)
      const at = records.handshakeAt(chunk)
      if (at === 'broken')
        return refuse({ verdict: 'malformed', cause: 'what follows its ClientHello is no record' })
      if (at === undefined) return chunk
      if (state === 'unanswered')
        return refuse({ verdict: 'malformed', cause: 'its ClientHello is not the only one' })
      const held = inSecond(chunk.subarray(at))
      return Buffer.isBuffer(held) ? Buffer.concat([chunk.subarray(0, at), held]) : held
    },
    in: (chunk) => {
      if (state !== 'unanswered') return chunk
      const kind = answer(chunk)
      if (kind === 'unclear')
        return refuse({ verdict: 'malformed', cause: 'the answer to its ClientHello is unclear' })
      if (kind === 'retry') state = 'to be repeated'
      if (kind === 'other') state = 'over'
      return chunk
    },
  }
}

const itsSecond = 'its second ClientHello'

/** Alerts and changes of ciphers may stand before a handshake message; of neither side there are many. */
const passingRecords: ReadonlySet<number> = new Set([20, 21])
const applicationData = 23

/** Goes through records behind so many bytes; those that are no handshake it only counts off. */
const recordWalk = (behindBytes: number) => {
  let head: Buffer = nothing
  let leftBytes = behindBytes
  return {
    /** @returns Where a record of the handshake begins in the chunk; undefined: nowhere. */
    handshakeAt: (chunk: Buffer): number | undefined | 'broken' => {
      for (let at = 0; at < chunk.length;) {
        if (leftBytes > 0) {
          const taken = Math.min(leftBytes, chunk.length - at)
          leftBytes -= taken
          at += taken
          continue
        }
        if (head.length === 0 && chunk[at] === handshakeRecord) return at
        head = Buffer.concat([head, chunk.subarray(at, at + 1)])
        at += 1
        if (!mayBegin(head)) return 'broken'
        if (head.length < recordHeaderBytes) continue
        leftBytes = head.readUInt16BE(3)
        head = nothing
        if (leftBytes > maxRecordBytes + 256) return 'broken'
      }
      return undefined
    },
  }
}

const mayBegin = ([type = 0, version]: Buffer): boolean =>
  (type === applicationData || passingRecords.has(type)) && (version ?? 3) === 3

/** Reads what a destination answers a ClientHello with, as far as it has come: nothing that it sends is held. */
const answerReader = (): ((chunk: Buffer) => 'retry' | 'other' | 'unclear' | undefined) => {
  let seen: Buffer = nothing
  return (chunk) => {
    seen = Buffer.concat([seen, chunk.subarray(0, maxAnswerBytes)])
    const message: Buffer[] = []
    let messageBytes = 0
    for (let at = 0; at < seen.length && messageBytes < randomEnds;) {
      const type = seen[at] ?? 0
      const isHandshake = type === handshakeRecord
      if (!isHandshake && messageBytes > 0) return 'unclear'
      if (!isHandshake && !passingRecords.has(type)) return 'other'
      if (seen.length - at < recordHeaderBytes) break
      if (seen[at + 1] !== 3) return 'other'
      const length = seen.readUInt16BE(at + 3)
      if (length === 0 || length > maxRecordBytes) return 'unclear'
      at += recordHeaderBytes
      if (isHandshake) {
        message.push(seen.subarray(at, at + length))
        messageBytes += Math.min(length, seen.length - at)
      }
      at += length
    }
    if (messageBytes > 0 && message.find(({ length }) => length > 0)?.[0] !== serverHelloMessage)
      return 'unclear'
    if (messageBytes >= randomEnds)
      return Buffer.concat(message).subarray(randomAt, randomEnds).equals(retryRandom)
        ? 'retry'
        : 'other'
    return seen.length >= maxAnswerBytes ? 'unclear' : undefined
  }
}
