import type { Problem } from '#contract/problem'
import { answerScan, type AnswerScan } from './credentials/scan.ts'
import { credentialReturned, type GivenCredential } from './credentials/credential.ts'
import type { TunnelWatch } from './tunnel-watch.ts'

/** RFC 6455 §5.2. */
const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const
const knownOpcodes: ReadonlySet<number> = new Set(Object.values(opcodes))
const firstControl = 8
const maxControlBytes = 125
/** Frames without content could otherwise be piled up behind a byte that is held. */
const maxWaiting = 1024
const nothing = Buffer.alloc(0)

/** Bytes of a frame that wait with those before them. */
type Part = { readonly bytes: Buffer; readonly isPayload: boolean }

/**
 * Looks for a credential in what the destination of a WebSocket sends: in the messages, however they are cut into frames,
 * and in each control frame. As of a body, no more is looked at than its `scanBytes`, and what could be its beginning is held.
 *
 * Messages must come as they are: no extension was offered, so a frame that needs one ends the connection, as does one that
 * is masked, or no frame at all.
 *
 * @returns undefined where the request had no credential, or nobody wants it looked for.
 * @see RFC 6455 §5
 */
export const webSocketScan = (credential: GivenCredential | undefined): TunnelWatch | undefined => {
  if (!credential || credential.scanBytes === 0) return undefined
  const { id, scanBytes, attachment } = credential
  const { needles } = attachment.reveal()
  const scan = answerScan(needles, scanBytes, true)
  const isReturned = { problem: credentialReturned(id) }
  /** The head of the frame that comes next, as far as it is here; a control frame whole. */
  let head: Buffer = nothing
  let leftBytes = 0 // of the payload of a frame of data
  let seenBytes = 0
  let waiting: Part[] = []

  /** What goes on once so many bytes of the payload that waits may. */
  const release = (payloadBytes: number): Buffer[] => {
    const out: Buffer[] = []
    let bytes = payloadBytes
    while (waiting[0] && (!waiting[0].isPayload || bytes > 0)) {
      const [part] = waiting
      const taken = part.isPayload ? part.bytes.subarray(0, bytes) : part.bytes
      if (part.isPayload) bytes -= taken.length
      out.push(taken)
      const rest = part.bytes.subarray(taken.length)
      if (rest.length > 0) waiting[0] = { ...part, bytes: rest }
      else waiting.shift()
    }
    return out
  }
  const isOver = () => seenBytes >= scanBytes && waiting.length === 0

  return {
    isOver,
    rest: () => Buffer.concat([...waiting.map(({ bytes }) => bytes), head]),
    in: (chunk) => {
      const out: Buffer[] = []
      let bytes = chunk
      while (bytes.length > 0) {
        if (leftBytes > 0) {
          const payload = bytes.subarray(0, leftBytes)
          bytes = bytes.subarray(payload.length)
          leftBytes -= payload.length
          seenBytes += payload.length
          waiting.push({ bytes: payload, isPayload: true })
          const through = scan.push(payload)
          if (!through) return isReturned
          out.push(...release(through.length))
          if (isOver()) return Buffer.concat([...out, bytes])
          continue
        }
        const taken = takeFrameHead(head, bytes)
        if (typeof taken === 'string') return notAsAgreed(taken)
        head = nothing
        bytes = taken.rest
        if (!taken.frame) {
          head = taken.head
          break
        }
        if (taken.frame.isControl && isIn(scan, taken.head)) return isReturned
        leftBytes = taken.frame.isControl ? 0 : taken.frame.payloadBytes
        waiting.push({ bytes: taken.head, isPayload: false })
        out.push(...release(0))
        if (waiting.length > maxWaiting) return notAsAgreed('frames without content')
      }
      return Buffer.concat(out)
    },
  }
}

const isIn = (scan: AnswerScan, frame: Buffer): boolean =>
  scan.isInHead([frame.toString('latin1'), ''])

const notAsAgreed = (cause: string): { readonly problem: Problem } => ({
  problem: { tag: 'destination-broken', cause: `its WebSocket: ${cause}` },
})

type Taken = {
  readonly head: Buffer
  readonly rest: Buffer
  /** Undefined until the head is whole. */
  readonly frame?: { readonly isControl: boolean; readonly payloadBytes: number }
}

/** Takes the head of a frame from the front of some bytes, and of a control frame all of it; or says what is wrong with it. */
const takeFrameHead = (before: Buffer, bytes: Buffer): Taken | string => {
  const all = before.length > 0 ? Buffer.concat([before, bytes]) : bytes
  const incomplete = { head: Buffer.from(all), rest: nothing }
  if (all.length < 2) return incomplete
  const [first = 0, second = 0] = all
  const opcode = first & 0x0f
  const isControl = opcode >= firstControl
  if ((first & 0x70) !== 0) return 'a frame needs an extension that nobody has agreed to'
  if (!knownOpcodes.has(opcode)) return 'a frame of no known kind'
  if ((second & 0x80) !== 0) return 'a frame of a server is masked'
  const short = second & 0x7f
  if (isControl && (short > maxControlBytes || (first & 0x80) === 0))
    return 'a control frame is too long or in parts'
  const headBytes = short < 126 ? 2 : short === 126 ? 4 : 10
  const wantedBytes = isControl ? headBytes + short : headBytes
  if (all.length < wantedBytes) return incomplete
  const payloadBytes =
    short < 126 ? short : short === 126 ? all.readUInt16BE(2) : Number(all.readBigUInt64BE(2))
  if (!Number.isSafeInteger(payloadBytes)) return 'a frame is longer than a frame can be'
  return {
    head: all.subarray(0, wantedBytes),
    rest: all.subarray(wantedBytes),
    frame: { isControl, payloadBytes },
  }
}
