import { once } from 'node:events'
import { createSecureServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { bigBytes, type RealPeer, tlsFile } from './real-peer.ts'

export const startNodeHttp2 = async (): Promise<RealPeer> => {
  let count = 0
  const server = createSecureServer({
    key: tlsFile('server.key.pem'),
    cert: tlsFile('server.pem'),
    ca: tlsFile('ca.pem'),
    requestCert: true,
    rejectUnauthorized: true,
    settings: { maxConcurrentStreams: 100 },
    streamResetBurst: 1_000,
    maxSessionMemory: 100, // each /big that is under way counts
  })
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    const path = headers[':path'] ?? ''
    switch (path) {
      case '/big':
        stream.end(Buffer.alloc(bigBytes, 'b'))
        return
      case '/echo':
        stream.respond({ ':status': 200 })
        stream.pipe(stream)
        return
      case '/204':
      case '/304':
        stream.respond({ ':status': Number(path.slice(1)) }, { endStream: true })
        return
      case '/varied':
        stream.respond({ 'x-request-id': `${++count}-${'r'.repeat(count % 40)}` })
        stream.end(headers['x-asked'])
        return
      case '/trailers':
        stream.respond({ ':status': 200 }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ 'x-trailer': 'at the end' }))
        stream.end('body')
        return
      case '/informational':
        stream.additionalHeaders({ ':status': 103, link: '</a>; rel=preload' })
        stream.respond({ ':status': 200 })
        stream.end('hello')
        return
      case '/never':
        return
      default:
        stream.respond({ ':status': 200 })
        stream.end('hello')
    }
  })
  const sessions = new Set<{ destroy: () => void }>()
  server.on('session', (session) => {
    sessions.add(session)
    session.on('close', () => sessions.delete(session)).on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      for (const session of sessions) session.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
