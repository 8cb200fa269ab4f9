import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyServerOptions,
} from 'fastify'
import { problemDetails, problemMediaType } from '#contract/problem-details'
import { problems, type Problem } from '#contract/problem'
import type { Log } from '#contract/telemetry'
import type { CallerRequest, CallerResponse } from './caller.ts'
import type { Doors, TurnedAwayReason } from './doors.ts'
import { asNodeHasThem } from './h2-server/as-node-has-them.ts'
import { listenOn, type ListeningAt } from './listen-on.ts'
import type { Peer } from './peer.ts'
import { replyProblem, replyProblemOnSocket } from './problem-reply.ts'
import type { ProxyProtocolOptions } from './proxy-protocol.ts'
import { rawGate, strictGate, type RawGateOptions } from './raw-gate.ts'
import {
  defaultLimits,
  hardenedServer,
  type Handshake,
  type HardenedServer,
  type Http2Serving,
  type ListenerLimits,
  type ServerOptions,
} from './server.ts'
import { serveTls, type TlsServing, type TlsSettings } from './tls.ts'

export type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** A listener that was made and may listen. */
export type Listener = {
  /** Routes of our own go in here, and all that Fastify has plugins for. */
  readonly app: FastifyInstance
  readonly server: HttpServer | HttpsServer
  /** @throws Error that says in words why not: the port is taken, is not ours to open, the address is not here. */
  readonly listen: (host: string, port: number) => Promise<ListeningAt>
  /** Open connections, those still in their handshake included. */
  readonly connections: () => number
  /** From now on every answer says that it is the last on its connection. Goes on accepting. */
  readonly drain: () => void
  /** Ends the connections that wait for a request and whose other end is to be cut off. */
  readonly cutIdle: (isCutOff: (peer: Peer) => boolean) => void
  /** Accepts nothing more, drains, and after `graceMs` ends what is still open. */
  readonly close: (graceMs: number) => Promise<void>
  /** Changes certificates without touching open connections; see `tls.ts`. */
  readonly reloadTls: TlsReload
}
type TlsReload = (
  certificates: TlsSettings['certificates'],
  clientCertificates?: TlsSettings['clientCertificates'],
) => void

export type ListenerOptions = {
  /** undefined: plain HTTP. */
  readonly tls?: TlsSettings | undefined
  readonly limits?: Partial<ListenerLimits>
  readonly turnedAway: (reason: TurnedAwayReason) => void
  readonly log: Log
}

export type EdgeOptions = ListenerOptions & {
  /** Whether a request is for us and not to be forwarded, such as a health path: compare `req.url` exactly. */
  readonly isOwn: (req: Pick<CallerRequest, 'url'>) => boolean
  readonly doors: Pick<Doors, 'request' | 'upgrade' | 'connect'>
  readonly proxyProtocol?: ProxyProtocolOptions | undefined
  readonly handshaken?: ((handshake: Handshake) => void) | undefined
  /** HTTP/2 is offered beside HTTP/1.1 then. */
  readonly http2?:
    | (Omit<Http2Serving, 'request'> & {
        readonly request: (req: CallerRequest, res: CallerResponse) => void | Promise<void>
      })
    | undefined
}

/**
 * A listener for what is to be forwarded. What is our own goes on to Fastify; all else goes to the doors and never
 * enters its router.
 */
export const edgeListener = (options: EdgeOptions): Listener =>
  listener(
    { ...options, emptyBodiesEnd: false },
    (toFastify) => ({
      ...options.doors,
      request: (req, res) =>
        options.isOwn(req) ? toFastify(req, res) : options.doors.request(req, res),
    }),
    (toFastify) =>
      options.http2 && {
        ...options.http2,
        request: (req, res) =>
          options.isOwn(req)
            ? toFastify(...asNodeHasThem(req, res))
            : options.http2?.request(req, res),
      },
  )

export type PlainOptions = ListenerOptions & {
  /** The gate before the router; only what differs from `strictGate`. */
  readonly gate?: Partial<RawGateOptions>
  /** Largest body that a route reads, unless it says otherwise. */
  readonly maxBodyBytes?: number
  /** Told of each request that the gate refused, for a record. */
  readonly refused?: (req: CallerRequest, problem: Problem) => void
  /** HTTP/2 is offered behind HTTP/1.1 then, to who may speak it. */
  readonly http2?: Omit<Http2Serving, 'request'> | undefined
}

const defaultMaxBodyBytes = 64 * 1024

/**
 * A listener for what we answer ourselves (exchange, admin, demo services): ordinary Fastify behind the gate, which also
 * stands before its router and its own replies. Upgrades and CONNECT are refused.
 */
export const plainListener = (options: PlainOptions): Listener => {
  const gate = rawGate({ ...strictGate, allowWebSocket: false, ...options.gate })
  /** @returns The one path, which the router is to see; undefined where it was refused. */
  const admit = (req: CallerRequest, res: CallerResponse): string | undefined => {
    const head = gate(req)
    if (head.ok) return head.value.path + head.value.query
    options.refused?.(req, head.problem)
    replyProblem(res, head.problem)
    return undefined
  }
  const { http2 } = options
  return listener(
    options,
    (toFastify) => ({
      request: (req, res) => {
        const url = admit(req, res)
        if (url === undefined) return
        req.url = url
        toFastify(req, res)
      },
      upgrade: (_req, socket) => void replyProblemOnSocket(socket, { tag: 'upgrade-refused' }),
      connect: (_req, socket) => void replyProblemOnSocket(socket, { tag: 'method-not-allowed' }),
    }),
    (toFastify) =>
      http2 && {
        ...http2,
        request: (req, res) => {
          const url = admit(req, res)
          if (url === undefined) return
          req.url = url
          toFastify(...asNodeHasThem(req, res))
        },
      },
    options.maxBodyBytes,
  )
}

type ToFastify = (req: IncomingMessage, res: ServerResponse) => void

const listener = (
  options: ListenerOptions &
    Pick<EdgeOptions, 'proxyProtocol' | 'handshaken'> &
    Pick<ServerOptions, 'emptyBodiesEnd'>,
  doorsTo: (toFastify: ToFastify) => Pick<Doors, 'request' | 'upgrade' | 'connect'>,
  http2To: (toFastify: ToFastify) => Http2Serving | undefined,
  maxBodyBytes: number = defaultMaxBodyBytes,
): Listener => {
  const { log, turnedAway } = options
  let tls: TlsServing | undefined
  const failed = (cause: unknown) => log.error({ err: cause }, 'a bug of ours: a request failed')
  let hardened: HardenedServer | undefined
  const settings: FastifyServerOptions = {
    serverFactory: (toFastify) => {
      const http2 = http2To(toFastify)
      tls = options.tls && serveTls({ ...options.tls, protocols: protocolsOf(http2) })
      hardened = hardenedServer(
        {
          limits: { ...defaultLimits, ...options.limits },
          tls,
          proxyProtocol: options.proxyProtocol,
          handshaken: options.handshaken,
          http2,
          emptyBodiesEnd: options.emptyBodiesEnd ?? true,
        },
        { ...doorsTo(toFastify), turnedAway, failed },
      )
      return hardened.server
    },
    clientErrorHandler: () => {}, // the doors have answered
    frameworkErrors: (error, _request, reply) => replyError(error, reply, log),
    logger: false,
    trustProxy: false,
    bodyLimit: maxBodyBytes,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    routerOptions: { ignoreDuplicateSlashes: false },
    exposeHeadRoutes: false,
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
  }
  const app = Fastify({ ...settings, ...withoutSchemas })
  if (hardened === undefined) throw new Error('Fastify made no server')
  const { server, connections } = hardened
  app.setErrorHandler((error: FastifyError, _request, reply) => replyError(error, reply, log))
  app.setNotFoundHandler((_request, reply) => sendProblem(reply, { tag: 'route-unknown' }))
  app.addHook('onClose', (_app, done) => {
    connections.stop()
    done()
  })

  return {
    app,
    server,
    listen: (host, port) => listenOn(app, server, host, port),
    connections: connections.count,
    drain: connections.drain,
    cutIdle: connections.cutIdle,
    close: async (graceMs) => {
      connections.drain()
      connections.finish()
      const end = setTimeout(connections.destroyAll, graceMs)
      await app.close()
      clearTimeout(end)
    },
    reloadTls: (certificates, clientCertificates) => {
      if (!tls) throw new Error('this listener has no TLS to reload')
      tls.reload(server as HttpsServer, certificates, clientCertificates)
    },
  }
}

/** Where only some may speak HTTP/2, those offer nothing else. */
const protocolsOf = (http2: Http2Serving | undefined): NonNullable<TlsSettings['protocols']> => {
  if (!http2) return ['http/1.1']
  return http2.isFor ? ['http/1.1', 'h2'] : ['h2', 'http/1.1']
}

const noSchemas = () => () => {
  throw new Error('routes have no schemas here')
}

/** No route of ours has a schema for Fastify: without this it reads two compilers of them, a hundred files, at every start. */
const withoutSchemas = {
  schemaController: {
    compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas },
  },
} as const

/** An app that listens nowhere: what stands in another's routes and is made later than they are. */
export const innerApp = (): FastifyInstance => Fastify({ logger: false, ...withoutSchemas })

/** Answers with a problem from a Fastify handler or hook. */
export const sendProblem = (
  reply: FastifyReply,
  problem: Problem,
  decisionId?: string,
): FastifyReply =>
  reply
    .code(problems[problem.tag].status)
    .headers({
      ...problem.headers,
      'cache-control': 'no-store',
      'x-sallyport-problem': problem.tag,
    })
    .type(problemMediaType)
    .send(problemDetails(problem, decisionId))

/** What a handler threw: the caller's fault if Fastify says so, else a bug of ours of which only the log is told. */
const replyError = (error: FastifyError, reply: FastifyReply, log: Log): FastifyReply => {
  const problem = problemOf(error)
  if (problem.tag === 'internal') log.error({ err: error }, 'a bug of ours: a handler failed')
  return sendProblem(reply, problem)
}

const problemOf = (error: FastifyError): Problem => {
  const { code, statusCode = 500 } = error
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return { tag: 'body-too-large' }
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return { tag: 'media-type-refused' }
  if (code === 'FST_ERR_BAD_URL') return { tag: 'path-invalid' }
  return { tag: statusCode < 500 ? 'request-malformed' : 'internal', cause: error }
}
