/**
 * A TLS server of Node that does nothing: what connections, handshakes and a start cost without us. Run by benchmarks,
 * never for anything else.
 *
 * Arguments: port, PEM files of certificate and key.
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'

const [, , port = '0', certificate = '', key = ''] = process.argv
const server = createServer(
  {
    cert: readFileSync(certificate),
    key: readFileSync(key),
    // As the gateway has it, so that both do the same.
    minVersion: 'TLSv1.2',
    keepAliveTimeout: 3_600_000,
    keepAlive: true,
  },
  (_req, res) => void res.end('hello'),
)
server.maxRequestsPerSocket = 0
server.listen({ port: Number(port), host: '127.0.0.1', backlog: 1024 })
