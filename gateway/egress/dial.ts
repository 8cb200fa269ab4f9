import { connect, type Socket } from 'node:net'
import { addressBytes, addressText } from '#contract/ip-address'
import { pass, refuse, type ProblemTag, type Result } from '#contract/problem'
import { ignoreError } from '#http/ignore-error'
import type { Reader, ReadBuffers } from './read-buffers.ts'
import { secure, type Securing } from './secure.ts'

export type DialOptions = {
  /** That were judged; tried in this order. */
  readonly addresses: readonly string[]
  readonly port: number
  /** For all of them together. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
  /** Whom the destination must prove to be by TLS; absent where others make it, or nobody. */
  readonly tls?: Securing | undefined
  /** Reads what comes, in the place of `data` events; not where TLS is made here. */
  readonly reads?: ReadBuffers | undefined
}

export type Dialled = {
  readonly socket: Socket
  readonly address: string
  /** Version of TLS, where the destination has proved who it is. */
  readonly tlsVersion?: string
  /** Of what comes, if it was asked for. */
  readonly reader?: Reader
}

const maxTries = 4
const keepAliveMs = 30_000

/**
 * Opens a connection to one of some judged addresses, and to nothing else: no name is resolved here, and once connected the
 * socket must be where it was sent. Everything that goes out goes by this function, TLS of ours too.
 *
 * @returns Refuses with `destination-unreachable`, `destination-timeout`, `destination-untrusted` or `caller-gone`.
 */
export const dial = async (options: DialOptions): Promise<Result<Dialled>> => {
  const tried = options.addresses.slice(0, maxTries)
  const untilMs = performance.now() + options.timeoutMs
  let last: Result<Dialled> = refuse('destination-unreachable', { cause: 'it has no address' })
  for (const [i, address] of tried.entries()) {
    const leftMs = untilMs - performance.now()
    if (leftMs <= 0) break
    last = await dialOne(address, options, leftMs / (tried.length - i))
    if (last.ok && options.tls) last = await secured(last.value, options.tls, options, untilMs)
    if (last.ok || isFinal.has(last.problem.tag)) return last
  }
  return last
}

/** One of whom the certificate is wrong is no reason to try another. */
const isFinal: ReadonlySet<ProblemTag> = new Set(['caller-gone', 'destination-untrusted'])

const secured = async (
  { socket, address }: Dialled,
  tls: Securing,
  { signal }: DialOptions,
  untilMs: number,
): Promise<Result<Dialled>> => {
  const leftMs = Math.max(1, untilMs - performance.now())
  const made = await secure(socket, tls, leftMs, signal)
  if (!made.ok) return made
  return pass({ socket: made.value, address, tlsVersion: made.value.getProtocol() ?? '' })
}

const dialOne = (
  address: string,
  { port, signal, reads }: DialOptions,
  timeoutMs: number,
): Promise<Result<Dialled>> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve(refuse('caller-gone'))
    const reader = reads?.reader()
    const socket = connect({
      host: address, // an address, so Node looks nothing up
      port,
      autoSelectFamily: false,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveMs,
      ...(reader ? { onread: reader.onread } : {}),
    })
    if (reader) socket.once('close', reader.stop)
    const settle = (result: Result<Dialled>) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', gone)
      socket.off('connect', connected).off('error', failed)
      socket.on('error', ignoreError) // 'close' follows, and tells whoever uses it
      if (!result.ok) socket.destroy()
      resolve(result)
    }
    const gone = () => settle(refuse('caller-gone'))
    const failed = (cause: NodeJS.ErrnoException) =>
      settle(
        refuse(cause.code === 'ETIMEDOUT' ? 'destination-timeout' : 'destination-unreachable', {
          cause: `${address} port ${port}: ${cause.code ?? cause.message}`,
        }),
      )
    const connected = () =>
      settle(
        isAt(socket, address, port)
          ? pass(reader ? { socket, address, reader } : { socket, address })
          : refuse('destination-unreachable', {
              cause: `sent to ${address} port ${port}, arrived at ${socket.remoteAddress} port ${socket.remotePort}`,
            }),
      )
    const timer = setTimeout(
      () =>
        settle(
          refuse('destination-timeout', {
            cause: `${address} port ${port}: no connection within ${Math.round(timeoutMs)} ms`,
          }),
        ),
      timeoutMs,
    )
    signal.addEventListener('abort', gone, { once: true })
    socket.once('connect', connected).once('error', failed)
  })

/** The kernel writes an address its own way, so bytes are compared. */
const isAt = ({ remoteAddress, remotePort }: Socket, address: string, port: number): boolean => {
  const there = addressBytes(remoteAddress ?? '')
  const meant = addressBytes(address)
  return (
    there !== undefined &&
    meant !== undefined &&
    addressText(plain(there)) === addressText(plain(meant)) &&
    remotePort === port
  )
}

/** A socket of IPv4 may call itself IPv6. */
const plain = (bytes: readonly number[]): readonly number[] =>
  bytes.length === 16 &&
  bytes.slice(0, 10).every((byte) => byte === 0) &&
  bytes[10] === 0xff &&
  bytes[11] === 0xff
    ? bytes.slice(12)
    : bytes
