/**
 * What one has without us: Fastify with `@fastify/http-proxy`, TLS in, mTLS out. It checks nothing. Run by benchmarks, never
 * for anything else.
 *
 * Arguments: JSON with port, endpoint and the PEM files.
 */
import { readFileSync } from 'node:fs'
import httpProxy from '@fastify/http-proxy'
import Fastify from 'fastify'
import { Pool } from 'undici'
import type { FloorOptions } from './floor-server.ts'
import { upstreamName } from './mesh.ts'

export type PlainProxyOptions = FloorOptions & {
  readonly h2: boolean
  readonly connections: number
}

const options = JSON.parse(process.argv[2] ?? '{}') as PlainProxyOptions
const text = (file: string) => readFileSync(file, 'utf8')
const mutualTls = {
  cert: text(options.clientCertificateFile),
  key: text(options.clientKeyFile),
  ca: text(options.rootsFile),
  servername: upstreamName,
}
const app = Fastify({
  https: {
    cert: text(options.certificateFile),
    key: text(options.keyFile),
    ciphers: 'TLS_AES_128_GCM_SHA256',
  },
  logger: false,
})
const overHttp1 = () => ({
  // Ours is undici 8, its types know 7; it asks of a pool no more than `request`.
  undici: new Pool(options.endpoint, {
    connections: options.connections,
    pipelining: 1,
    connect: mutualTls,
  }) as never,
})
// Left to itself it would look at no certificate.
const verified = { ...mutualTls, rejectUnauthorized: true }
const overHttp2 = () => ({ http2: { sessionOptions: verified, requestTimeout: 60_000 } })
app.register(httpProxy, {
  upstream: options.endpoint,
  ...(options.h2 ? overHttp2() : overHttp1()),
})
await app.listen({ port: options.port, host: '127.0.0.1' })
