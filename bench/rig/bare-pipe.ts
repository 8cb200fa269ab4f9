/** The least that a tunnel could cost: `net` piped to `net`, or TLS that asks for a certificate. Arguments: port, target, [certificate, key, roots]. */
import { readFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { tlsProfiles } from '#http/tls-profiles'

const [, , port, target, certificate, key, roots] = process.argv
const pipe = (socket: Socket) => {
  const other = connect({ port: Number(target), host: '127.0.0.1', noDelay: true })
  for (const [one, its] of [
    [socket, other],
    [other, socket],
  ] as const) {
    one.on('error', () => {}).on('close', () => its.destroy())
    one.pipe(its)
  }
}
const server =
  certificate && key && roots
    ? createTlsServer(
        {
          cert: readFileSync(certificate),
          key: readFileSync(key),
          ca: readFileSync(roots),
          requestCert: true,
          // As the gateway has it; Node's own order begins with AES-256, which costs more.
          ciphers: tlsProfiles.intermediate.ciphers,
          honorCipherOrder: true,
        },
        pipe,
      )
    : createServer({ noDelay: true }, pipe)
server.listen({ port: Number(port), host: '127.0.0.1', backlog: 1024 })
