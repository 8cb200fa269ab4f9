import type { Duplex } from 'node:stream'
import type { ServerNameVerdict } from '#contract/audit-event'
import type { EgressDecision } from '#contract/egress'
import type { Authority } from './authority.ts'
import { readClientHello, type ClientHello } from './client-hello.ts'

export type Hello = Extract<ClientHello, { readonly kind: 'hello' }>

/** What a tunnel began with. */
export type Peeked = {
  readonly verdict: ServerNameVerdict
  readonly isAccepted: boolean
  /** All that was read, for the destination. */
  readonly bytes: Buffer
  /** Where there was one. */
  readonly hello?: Hello
  /** For the record: what was named instead, or what is wrong. */
  readonly cause?: string
}

/** Also with keys that withstand quantum computers a ClientHello takes less than 4 KiB. */
export const maxHelloBytes = 16_384

/**
 * Reads the ClientHello of a tunnel before anything of it goes on, within bounds of size and time, and judges whether the
 * server that it names is the host that was asked for. Of a tunnel to an address it must name none.
 *
 * @param early What came right behind the request.
 */
export const peekClientHello = async (
  socket: Duplex,
  early: Buffer,
  authority: Authority,
  decision: EgressDecision,
  timeoutMs: number,
): Promise<Peeked> => {
  if (decision.protocol !== 'tls' && decision.protocol !== 'tls-inspected')
    return { verdict: 'not-inspected', isAccepted: true, bytes: early }
  const { bytes, hello } = await firstBytes(socket, early, timeoutMs)
  if (typeof hello === 'string') return { verdict: hello, isAccepted: false, bytes }
  const judged = { ...judge(hello, authority, decision), bytes }
  return hello.kind === 'hello' ? { ...judged, hello } : judged
}

type Stopped = 'timeout' | 'too-long' | 'gone'

const firstBytes = (
  socket: Duplex,
  early: Buffer,
  timeoutMs: number,
): Promise<{ readonly bytes: Buffer; readonly hello: ClientHello | Stopped }> =>
  new Promise((resolve) => {
    let bytes = early
    let atLeastBytes = 0 // so that what comes byte by byte, in records of one byte, is not read over and over
    const settle = (hello: ClientHello | Stopped) => {
      clearTimeout(timer)
      socket.off('readable', read).off('end', gone).off('close', gone)
      resolve({ bytes, hello })
    }
    const look = (): boolean => {
      if (bytes.length < Math.min(atLeastBytes, maxHelloBytes)) return false
      const hello = readClientHello(bytes)
      if (hello.kind === 'incomplete' && bytes.length < maxHelloBytes) {
        atLeastBytes = hello.atLeastBytes
        return false
      }
      settle(hello.kind === 'incomplete' ? 'too-long' : hello)
      return true
    }
    const read = () => {
      for (let chunk: Buffer | null; (chunk = socket.read() as Buffer | null) !== null;) {
        bytes = Buffer.concat([bytes, chunk])
        if (look()) return
      }
    }
    const gone = () => settle('gone')
    const timer = setTimeout(() => settle('timeout'), timeoutMs)
    if (early.length > 0 && look()) return
    if (socket.readableEnded) return gone() // while there was no answer yet
    socket.on('readable', read).on('end', gone).on('close', gone)
    read()
  })

const judge = (
  hello: ClientHello,
  { host, isAddress }: Authority,
  { withoutServerName, encryptedClientHello }: EgressDecision,
): Omit<Peeked, 'bytes' | 'hello'> => {
  switch (hello.kind) {
    case 'incomplete':
      return { verdict: 'malformed', isAccepted: false }
    case 'not-tls':
      return { verdict: 'not-tls', isAccepted: false }
    case 'malformed':
      return { verdict: 'malformed', isAccepted: false, cause: hello.why }
    case 'hello': {
      const { serverName, isEncrypted } = hello
      if (isEncrypted && !encryptedClientHello) return { verdict: 'encrypted', isAccepted: false }
      if (serverName === undefined)
        return { verdict: 'absent', isAccepted: isAddress || withoutServerName }
      return !isAddress && serverName === host
        ? { verdict: 'match', isAccepted: true }
        : { verdict: 'mismatch', isAccepted: false, cause: `it names ${serverName}` }
    }
    default:
      return hello satisfies never
  }
}
