import { createServer as createHttpServer, type Server as HttpServer } from 'node:http'
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https'
import type { TLSSocket } from 'node:tls'
import {
  sweepIntervalMs,
  trackConnections,
  type Connections,
  type ConnectionLimits,
} from './connections.ts'
import { openDoors, requestDoor, type Doors } from './doors.ts'
import type { H2Request } from './h2-server/caller-request.ts'
import type { H2Response } from './h2-server/caller-response.ts'
import type { Http2Limits } from './h2-server/limits.ts'
import { serveHttp2, type Http2Connections } from './h2-server/serve-http2.ts'
import type { Peer } from './peer.ts'
import { wholeAnswers } from './whole-answer.ts'
import type { ProxyProtocolOptions } from './proxy-protocol.ts'
import type { TlsServing } from './tls.ts'

/** What one listener may cost us. Times in milliseconds, 0 where it is said to mean no limit. */
export type ListenerLimits = ConnectionLimits & {
  /** For a whole head to arrive. */
  readonly headersTimeoutMs: number
  /** For a whole request to arrive; routes that stream uploads need more than their longest. */
  readonly requestTimeoutMs: number
  /** How long an idle connection is kept. */
  readonly keepAliveTimeoutMs: number
  /** How long nothing at all may move on a connection that is not idle. 0: no limit. */
  readonly stalledTimeoutMs: number
  readonly maxHeaderBytes: number
  readonly maxHeaderPairs: number
  readonly maxConnections: number
  readonly maxRequestsPerConnection: number
}

export const defaultLimits: ListenerLimits = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 60_000,
  keepAliveTimeoutMs: 5_000,
  stalledTimeoutMs: 120_000,
  maxHeaderBytes: 16_384,
  maxHeaderPairs: 100,
  maxConnections: 10_000,
  maxConnectionsPerAddress: 0,
  maxRequestsPerConnection: 1_000,
  minReadBytesPerSecond: 1_024,
  slowReadGraceMs: 10_000,
}

export type ServerOptions = {
  readonly limits: ListenerLimits
  /** undefined: plain HTTP. */
  readonly tls: TlsServing | undefined
  readonly proxyProtocol: ProxyProtocolOptions | undefined
  /**
   * Whether a request that announces no body (RFC 9112 §6.3) still is a stream that comes to its end, for handlers that wait
   * for it. What is only forwarded goes without: the life of a stream is a good part of what Node does for a request.
   */
  readonly emptyBodiesEnd?: boolean
  /** Told of each finished handshake. */
  readonly handshaken: ((handshake: Handshake) => void) | undefined
  /** HTTP/2, where `tls` offers it; undefined where it is not offered. */
  readonly http2: Http2Serving | undefined
}

/** Who takes what comes over HTTP/2. */
export type Http2Serving = {
  readonly limits: Http2Limits
  /** Whether who is at the other end may speak it, asked once a connection. All may, unless it is said. */
  readonly isFor?: (socket: TLSSocket) => boolean
  readonly request: (req: H2Request, res: H2Response) => void | Promise<void>
  /** Told of each connection that broke the protocol or its limits and was ended for it. */
  readonly abused: (peer: Peer, cause: string) => void
}

export type Handshake = {
  readonly version: string
  readonly cipher: string
  readonly resumed: boolean
}

export type HardenedServer = {
  readonly server: HttpServer | HttpsServer
  readonly connections: Connections & {
    /** Ends those that would wait for more once what is open is answered. Those of HTTP/1.1 end with their answers. */
    readonly finish: () => void
  }
}

/** Node looks for requests that are too slow only so often; its own 30 s would make every shorter limit a lie. */
const checkIntervalMs = 2_000
const maxCheckIntervalShare = 4
/** Load balancers and phones vanish without a word: TCP asks after them. */
const tcpKeepAliveMs = 30_000

/**
 * Makes the Node server under every listener, with nothing left to defaults that are too kind, and its doors.
 *
 * @see docs of each limit in Node's `http.createServer`; CVE-2026-58044 for the version that `maxHeadersCount` needs
 */
export const hardenedServer = (
  { limits, tls, proxyProtocol, handshaken, http2, emptyBodiesEnd = true }: ServerOptions,
  doors: Doors,
): HardenedServer => {
  requireFixedHeaderCount(process.versions.node)
  const options = {
    // Node refuses to start if the head may take longer than the whole.
    headersTimeout: Math.min(limits.headersTimeoutMs, limits.requestTimeoutMs || Infinity),
    requestTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: checkInterval(limits),
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    maxHeaderSize: limits.maxHeaderBytes,
    keepAlive: true,
    keepAliveInitialDelay: tcpKeepAliveMs,
    insecureHTTPParser: false,
    joinDuplicateHeaders: false,
    // Bytes that a 204, a 304 or the answer to a HEAD must not have are dropped either way; `true` would also throw at
    // whoever passes on such an answer of a service, and at Fastify for its problem in answer to a HEAD.
    rejectNonStandardBodyWrites: false,
    optimizeEmptyRequests: !emptyBodiesEnd,
    ServerResponse: wholeAnswers(limits),
    requireHostHeader: false, // the gate asks for it: Node's own 400 would pass no door and leave no trace
  }
  const server = tls ? createHttpsServer({ ...tls.options, ...options }) : createHttpServer(options)
  server.timeout = limits.stalledTimeoutMs
  server.maxHeadersCount = limits.maxHeaderPairs
  server.maxRequestsPerSocket = limits.maxRequestsPerConnection
  server.maxConnections = limits.maxConnections
  // Not in the types yet: a worker that is full closes the connection and does not push it on to the next.
  Object.assign(server, { dropMaxConnection: true })
  if (handshaken) tellOfHandshakes(server, handshaken)
  const connections = trackConnections(server, {
    limits,
    proxyProtocol,
    turnedAway: doors.turnedAway,
  })
  openDoors(server, withDraining(doors, connections))
  const http1 = { ...connections, finish: () => {} }
  if (!tls || !http2) return { server, connections: http1 }
  const all = withHttp2(server as HttpsServer, limits, http2, doors)
  return { server, connections: both(connections, all) }
}

const withHttp2 = (
  server: HttpsServer,
  limits: ListenerLimits,
  http2: Http2Serving,
  { turnedAway, failed }: Doors,
): Http2Connections =>
  serveHttp2(server, {
    limits: { ...limits, ...http2.limits },
    request: requestDoor({
      // Cancelled before we have looked at it: a flood of those is to cost nothing more than that.
      request: (req: H2Request, res: H2Response) =>
        res.destroyed ? turnedAway('http2-stream') : http2.request(req, res),
      failed,
    }),
    isFor: http2.isFor ?? (() => true),
    notFor: () => turnedAway('other'),
    refusedStreams: (count) => {
      for (let i = 0; i < Math.min(count, maxCounted); i++) turnedAway('http2-stream')
    },
    abused: (peer, cause) => {
      turnedAway('http2-connection')
      http2.abused(peer, cause)
    },
    sweepIntervalMs: sweepIntervalMs(limits),
  })

/** A caller may leave out as many numbers of streams as it likes. */
const maxCounted = 100

const both = (http1: Connections, http2: Http2Connections): HardenedServer['connections'] => ({
  ...http1,
  drain: () => {
    http1.drain()
    http2.drain()
  },
  finish: http2.finish,
  cutIdle: (isCutOff) => {
    http1.cutIdle(isCutOff)
    http2.cutOff(isCutOff)
  },
  destroyAll: () => {
    http2.destroyAll()
    http1.destroyAll()
  },
  stop: () => {
    http1.stop()
    http2.stop()
  },
})

const tellOfHandshakes = (
  server: HttpServer | HttpsServer,
  handshaken: (handshake: Handshake) => void,
): void => {
  ;(server as HttpsServer).on('secureConnection', (socket) =>
    handshaken({
      version: socket.getProtocol() ?? '',
      cipher: socket.getCipher().name,
      resumed: socket.isSessionReused(),
    }),
  )
}

const checkInterval = ({ headersTimeoutMs, requestTimeoutMs }: ListenerLimits): number => {
  const shortest = Math.min(headersTimeoutMs || Infinity, requestTimeoutMs || Infinity)
  return Math.max(100, Math.min(checkIntervalMs, Math.floor(shortest / maxCheckIntervalShare)))
}

/** Once we drain, each answer is the last one on its connection, and says so. */
const withDraining = (doors: Doors, connections: Connections): Doors => ({
  ...doors,
  request: (req, res) => {
    if (connections.isDraining()) res.shouldKeepAlive = false
    return doors.request(req, res)
  },
})

const firstFixed = [24, 18, 1]

/** Before, `maxHeadersCount` hid the headers beyond it from us and still let them frame the body (CVE-2026-58044). */
const requireFixedHeaderCount = (version: string): void => {
  const parts = version.split('.').map(Number)
  const differing = firstFixed.findIndex((part, i) => parts[i] !== part)
  if (differing >= 0 && (parts[differing] ?? 0) < (firstFixed[differing] ?? 0))
    throw new Error(
      `Node ${version} is too old to face callers; use ${firstFixed.join('.')} or later`,
    )
}
