import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Metadata } from '@grpc/grpc-js'
import { WebSocketServer } from 'ws'
import { startGrpcServer } from '#test/fakes/grpc-echo'
import type { Certificates } from './mesh.ts'

/** A service that answers fast and slowly, and takes bodies. */
const serve = async (
  req: IncomingMessage | Http2ServerRequest,
  res: ServerResponse | Http2ServerResponse,
) => {
  req.on('error', () => {})
  res.on('error', () => {})
  try {
    if (req.method === 'POST') for await (const _chunk of req) continue
  } catch {
    return // the caller left
  }
  if (req.url?.endsWith('/slow') !== true) return void res.end('{"status":"ok"}')
  for (let i = 0; i < 10 && !res.destroyed; i += 1) {
    ;(res as ServerResponse).write('x'.repeat(8192))
    await sleep(100)
  }
  res.end()
}

/** Behind its sidecar: one that speaks HTTP/1.1 and echoes over WebSockets, the same over HTTP/2, and one of gRPC. */
export const startSoakService = async ({ upstream, meshRoots }: Certificates) => {
  const tls = {
    cert: readFileSync(upstream.certificate),
    key: readFileSync(upstream.key),
    ca: readFileSync(meshRoots),
    requestCert: true,
    rejectUnauthorized: true,
  }
  const server = createServer(tls, (req, res) => void serve(req, res))
  const h2Server = createSecureServer(tls, (req, res) => void serve(req, res))
  h2Server.on('sessionError', () => {})
  const grpc = await startGrpcServer(
    { cert: tls.cert.toString(), key: tls.key.toString(), roots: tls.ca.toString() },
    {
      unary: (call, done) => {
        const trailer = new Metadata()
        trailer.set('x-sum', '1')
        done(null, call.request, trailer)
      },
      down: (call) => {
        for (let i = 0; i < 20; i += 1) call.write(Buffer.alloc(8192))
        call.end()
      },
      up: (call, done) => {
        call.on('data', () => {})
        call.on('end', () => done(null, Buffer.from('all')))
      },
      both: (call) => {
        call.on('error', () => {})
        call.on('data', (message: Buffer) => call.write(message))
        call.on('end', () => call.end())
      },
    },
  )
  server.on('tlsClientError', () => {})
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', (socket) => {
    socket.on('message', (data) => socket.send(data))
    socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  h2Server.listen(0, '127.0.0.1')
  await Promise.all([once(server, 'listening'), once(h2Server, 'listening')])
  const urlOf = (port: number) => `https://127.0.0.1:${port}`
  return {
    url: urlOf((server.address() as AddressInfo).port),
    h2Url: urlOf((h2Server.address() as AddressInfo).port),
    grpcUrl: urlOf(grpc.port),
    close: async () => {
      sockets.close()
      server.closeAllConnections()
      server.close()
      h2Server.close()
      grpc.stop()
    },
  }
}
