import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { connect } from 'node:tls'
import { trusting } from '../fixtures.ts'
import { field, frame, settings, settingsAck, type Frame } from '../h2-client/scripted-peer.ts'

/* A caller that writes whatever frames a test tells it to, with a frame reader of its own. */

export type RawCaller = {
  readonly frames: Frame[]
  /** Octets, as latin1. */
  readonly send: (...octets: readonly string[]) => void
  /** Resolves with the first frame that fits; rejects if the connection ends or 5 s pass first. */
  readonly until: (fits: (frame: Frame) => boolean) => Promise<Frame>
  /** Status of the answer on this stream. */
  readonly status: (streamId: number) => Promise<number>
  /** Error code with which this stream was reset. */
  readonly reset: (streamId: number) => Promise<number>
  /** Error codes of the GOAWAYs, once the other side has ended the connection. A reset may have taken them away. */
  readonly ended: () => Promise<readonly number[]>
  readonly isClosed: () => boolean
  /** Stops reading from the socket, and goes on. */
  readonly pause: () => void
  readonly resume: () => void
  readonly destroy: () => void
  /** Ends it with a TCP reset. */
  readonly breakOff: () => void
}

export const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
const patienceMs = 4000

export type RawCallerOptions = {
  readonly ca?: string | readonly string[]
  readonly client?: { readonly cert: string; readonly key: string }
  /** Sent first. Default: the preface and empty SETTINGS. */
  readonly greeting?: string
  readonly acknowledges?: boolean
}

export const rawCaller = async (
  port: number,
  {
    ca = trusting.ca,
    client,
    greeting = preface + settings(),
    acknowledges = true,
  }: RawCallerOptions = {},
): Promise<RawCaller> => {
  const line = connectTcp(port, '127.0.0.1')
  const socket = connect({
    socket: line,
    servername: 'localhost',
    ca: typeof ca === 'string' ? ca : [...ca],
    ...client,
    ALPNProtocols: ['h2'],
  })
  await once(socket, 'secureConnect')
  socket.setNoDelay(true)
  if (socket.alpnProtocol !== 'h2') throw new Error(`they speak ${socket.alpnProtocol}`)
  const frames: Frame[] = []
  const changed = new Set<() => void>()
  let isClosed = false
  let pending = Buffer.alloc(0)
  const tell = () => {
    for (const check of changed) check()
  }
  const send = (...octets: readonly string[]) => {
    if (socket.writable) socket.write(octets.join(''), 'latin1')
  }
  socket.on('error', () => {})
  socket.on('close', () => {
    isClosed = true
    tell()
  })
  socket.on('data', (bytes: Buffer) => {
    pending = Buffer.concat([pending, bytes])
    while (pending.length >= 9 && pending.length >= 9 + pending.readUIntBE(0, 3)) {
      const end = 9 + pending.readUIntBE(0, 3)
      const got: Frame = {
        type: pending[3]!,
        flags: pending[4]!,
        streamId: pending.readUInt32BE(5),
        payload: Buffer.from(pending.subarray(9, end)),
      }
      pending = pending.subarray(end)
      frames.push(got)
      if (acknowledges && got.type === 4 && (got.flags & 1) === 0) send(settingsAck)
    }
    tell()
  })
  send(greeting)

  const wait = <T>(what: string, probe: () => T | undefined): Promise<T> =>
    new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer)
        changed.delete(check)
      }
      const fail = (why: string) => {
        stop()
        const seen = frames.map(({ type, streamId }) => `${type}@${streamId}`).join(' ')
        reject(new Error(`${what} ${why}; frames: ${seen}`))
      }
      const check = () => {
        const found = probe()
        if (found !== undefined) {
          stop()
          resolve(found)
        } else if (isClosed) fail('did not come before the end')
      }
      const timer = setTimeout(() => fail('did not come'), patienceMs)
      changed.add(check)
      check()
    })
  const until = (fits: (frame: Frame) => boolean) => wait('a frame', () => frames.find(fits))

  return {
    frames,
    send,
    until,
    status: async (streamId) =>
      statusOf(await until((got) => got.type === 1 && got.streamId === streamId)),
    reset: async (streamId) =>
      (await until((got) => got.type === 3 && got.streamId === streamId)).payload.readUInt32BE(0),
    ended: async () => {
      await wait('the end', () => (isClosed ? true : undefined))
      return frames.filter(({ type }) => type === 7).map(({ payload }) => payload.readUInt32BE(4))
    },
    isClosed: () => isClosed,
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    destroy: () => void socket.destroy(),
    breakOff: () => void line.resetAndDestroy(),
  }
}

/** nghttp2 sends the seven known ones as an index, all others as a literal of three digits, maybe in Huffman code. */
const statusOf = ({ payload }: Frame): number => {
  const known = [200, 204, 206, 304, 400, 404, 500]
  let at = 0
  while (((payload[at] ?? 0) & 0xe0) === 0x20) at += 1 // table size updates
  const first = payload[at] ?? 0
  if (first >= 0x88 && first <= 0x8e) return known[first - 0x88] ?? 0
  const length = payload[at + 1] ?? 0
  const text = payload.subarray(at + 2, at + 2 + (length & 0x7f))
  return Number(length & 0x80 ? fromHuffmanDigits(text) : text.toString('latin1'))
}

/** Digits only: 0, 1, 2 take five bits, the others six (RFC 7541 Appendix B). */
const fromHuffmanDigits = (text: Buffer): string => {
  const bits = [...text].map((octet) => octet.toString(2).padStart(8, '0')).join('')
  let digits = ''
  for (let at = 0; digits.length < 3;) {
    const five = Number.parseInt(bits.slice(at, at + 5), 2)
    const six = Number.parseInt(bits.slice(at, at + 6), 2)
    if (five < 3) digits += five
    else digits += six - 0x19 + 3
    at += five < 3 ? 5 : 6
  }
  return digits
}

/** A field block of a request; what is given overrides or comes after what every request has. */
export const block = (
  pseudo: Readonly<Record<string, string | undefined>> = {},
  ...fields: readonly (readonly [name: string, value: string])[]
): string => {
  const all = {
    ':method': 'GET',
    ':scheme': 'https',
    ':authority': 'localhost',
    ':path': '/a',
    ...pseudo,
  }
  const given = Object.entries(all).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  )
  return [...given, ...fields].map(([name, value]) => longField(name, value)).join('')
}

/** A literal without indexing, of any length (RFC 7541 §6.2.2). */
const longField = (name: string, value: string): string =>
  name.length < 127 && value.length < 127 ? field(name, value) : `\0${text(name)}${text(value)}`

const text = (value: string): string => {
  if (value.length < 127) return String.fromCharCode(value.length) + value
  let octets = String.fromCharCode(127)
  let rest = value.length - 127
  for (; rest >= 128; rest >>>= 7) octets += String.fromCharCode((rest & 0x7f) | 0x80)
  return octets + String.fromCharCode(rest) + value
}

export const priority = (streamId: number, dependsOn: number): string =>
  frame(2, 0, streamId, String.fromCharCode(0, 0, 0, dependsOn, 16))
export const continuation = (streamId: number, part: string, last = false): string =>
  frame(9, last ? 4 : 0, streamId, part)
