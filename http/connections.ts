import type { Server as HttpServer } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { answerOn, type TurnedAwayReason } from './doors.ts'
import { canonicalAddress } from './networks.ts'
import { peerOf, setPeerAddress, type Peer } from './peer.ts'
import { readProxyHeader, type ProxyHeader, type ProxyProtocolOptions } from './proxy-protocol.ts'
import { slowReaderJudge, type SlowReaderLimits } from './slow-reader.ts'

export type ConnectionLimits = SlowReaderLimits & {
  /** How many connections one address may have open. 0: no limit. */
  readonly maxConnectionsPerAddress: number
}

export type ConnectionOptions = {
  readonly limits: ConnectionLimits
  /** Load balancers that put a PROXY header before everything else; undefined if there are none. */
  readonly proxyProtocol: ProxyProtocolOptions | undefined
  readonly turnedAway: (reason: TurnedAwayReason) => void
}

/** The open connections of one listener, upgraded ones and tunnels among them, which Node's own list does not hold. */
export type Connections = {
  readonly count: () => number
  /** From now on every answer ends its connection, those under way too if their head is not out yet. */
  readonly drain: () => void
  readonly isDraining: () => boolean
  readonly destroyAll: () => void
  /** Ends those that wait for a request and whose other end is to be cut off. */
  readonly cutIdle: (isCutOff: (peer: Peer) => boolean) => void
  /** Ends the timers. */
  readonly stop: () => void
}

/** Slow readers are looked for so often, more often if the grace is short. */
const maxSweepIntervalMs = 1000
const minSweepIntervalMs = 50

export const sweepIntervalMs = ({ slowReadGraceMs }: SlowReaderLimits): number =>
  Math.max(minSweepIntervalMs, Math.min(maxSweepIntervalMs, slowReadGraceMs / 4))

/** Judges a server's new connections before Node sees them, keeps the list of those open, and cuts slow readers. */
export const trackConnections = (
  server: HttpServer | HttpsServer,
  { limits, proxyProtocol, turnedAway }: ConnectionOptions,
): Connections => {
  const raw = new Set<Socket>() // TCP, some perhaps still in their handshake
  const ready = new Set<Socket>() // those that HTTP/1.1 is spoken on
  const claims = new Map<string, ProxyHeader & { readonly kind: 'proxied' }>()
  const perAddress = boundedCounts(limits.maxConnectionsPerAddress)
  const isSlow = slowReaderJudge(limits)
  let draining = false
  // One listener for all: tunnels live long, and there are many.
  function leaveRaw(this: Socket) {
    raw.delete(this)
  }
  function leaveReady(this: Socket) {
    ready.delete(this)
  }

  const admit = (socket: Socket, header: ProxyHeader | undefined, goOn: () => void) => {
    const claim = header?.kind === 'proxied' ? header : undefined
    const address = claim?.address ?? canonicalAddress(socket.remoteAddress ?? '')
    if (address === '') return void socket.destroy() // it has gone already
    if (!perAddress.enter(address)) {
      turnedAway('too-many-connections')
      socket.destroy()
      return
    }
    if (perAddress.counts) socket.once('close', () => perAddress.leave(address))
    if (claim) {
      const id = connectionId(socket)
      claims.set(id, claim)
      socket.once('close', () => claims.delete(id))
    }
    if (!isTls) add(socket)
    goOn()
  }

  const isTls = 'setSecureContext' in server
  beforeNode(server, (socket, goOn) => {
    raw.add(socket)
    socket.once('close', leaveRaw)
    if (proxyProtocol === undefined) return admit(socket, undefined, goOn)
    readProxyHeader(
      socket,
      proxyProtocol,
      (header) => admit(socket, header, goOn),
      () => turnedAway('other'),
    )
  })
  const add = (socket: Socket) => {
    if (!speaksHttp2(socket)) {
      ready.add(socket)
      socket.once('close', leaveReady)
    }
    const claim = claims.size > 0 && claims.get(connectionId(socket))
    if (claim) setPeerAddress(socket, claim.address, claim.port)
  }
  if (isTls) server.on('secureConnection', (socket: TLSSocket) => add(socket))

  const cutSlowReaders = () => {
    const nowMs = performance.now()
    for (const socket of ready) if (isSlow(socket, nowMs)) socket.destroy()
  }
  const sweep = setInterval(cutSlowReaders, sweepIntervalMs(limits)).unref()

  return {
    count: () => raw.size,
    drain: () => {
      draining = true
      for (const socket of ready) {
        const res = answerOn(socket)?.res
        if (res !== undefined && !res.headersSent) res.shouldKeepAlive = false
      }
    },
    isDraining: () => draining,
    destroyAll: () => {
      for (const socket of [...ready, ...raw]) socket.destroy()
    },
    cutIdle: (isCutOff) => {
      for (const socket of ready)
        if (answerOn(socket) === undefined && isCutOff(peerOf(socket))) socket.destroy()
    },
    stop: () => clearInterval(sweep),
  }
}

const speaksHttp2 = (socket: Socket): boolean => (socket as TLSSocket).alpnProtocol === 'h2'

/** Puts a check before all that Node does with a new connection; without `goOn` nothing of it happens. */
const beforeNode = (
  server: HttpServer | HttpsServer,
  check: (socket: Socket, goOn: () => void) => void,
): void => {
  const listeners = server.listeners('connection') as ((socket: Socket) => void)[]
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) =>
    check(socket, () => {
      for (const listener of listeners) listener.call(server, socket)
    }),
  )
}

/** The same for a TCP socket and for the TLS socket on top of it, and for no other connection that is open. */
const connectionId = ({ remoteAddress, remotePort, localAddress }: Socket): string =>
  `${remoteAddress} ${remotePort} ${localAddress}`

const boundedCounts = (max: number) => {
  const counts = new Map<string, number>()
  return {
    counts: max > 0,
    enter: (key: string): boolean => {
      if (max === 0) return true
      const count = counts.get(key) ?? 0
      if (count >= max) return false
      counts.set(key, count + 1)
      return true
    },
    leave: (key: string): void => {
      const count = counts.get(key) ?? 0
      if (count > 1) counts.set(key, count - 1)
      else counts.delete(key)
    },
  }
}
