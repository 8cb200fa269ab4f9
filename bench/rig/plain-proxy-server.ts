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
const pool = new Pool(options.endpoint, {
  connections: options.connections,
  pipelining: 1,
  connect: mutualTls,
})
app.register(httpProxy, {
  upstream: options.endpoint,
  // Ours is undici 8, its types know 7; it asks of a pool no more than `request`.
  undici: pool as never,
})
await app.listen({ port: options.port, host: '127.0.0.1' })
