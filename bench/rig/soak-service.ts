import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocketServer } from 'ws'
import type { Certificates } from './mesh.ts'

/** A service behind its sidecar that answers fast and slowly, takes bodies, and echoes over WebSockets. */
export const startSoakService = async ({ upstream, meshRoots }: Certificates) => {
  const server = createServer({
    cert: readFileSync(upstream.certificate),
    key: readFileSync(upstream.key),
    ca: readFileSync(meshRoots),
    requestCert: true,
    rejectUnauthorized: true,
  })
  server.on('request', async (req, res) => {
    req.on('error', () => {})
    if (req.method === 'POST') for await (const _chunk of req.on('error', () => {})) continue
    if (!req.url?.startsWith('/orders/slow')) return void res.end('{"status":"ok"}')
    for (let i = 0; i < 10 && !res.destroyed; i += 1) {
      res.write('x'.repeat(8192))
      await sleep(100)
    }
    res.end()
  })
  server.on('tlsClientError', () => {})
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', (socket) => {
    socket.on('message', (data) => socket.send(data))
    socket.on('error', () => {})
  })
  process.on('unhandledRejection', (cause) => {
    if ((cause as NodeJS.ErrnoException).code !== 'ECONNRESET') throw cause // a caller that left while it was read
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      sockets.close()
      server.closeAllConnections()
      server.close()
    },
  }
}
