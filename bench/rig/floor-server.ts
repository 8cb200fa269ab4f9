/**
 * A forwarder with nothing in between: TLS in, Node's HTTP parser, our HTTP/2 client, no check of anything. What the
 * gateway costs above it is what the way in costs. Run by `ingress`, never for anything else.
 *
 * Arguments: JSON with port, endpoint and the PEM files.
 */
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import { secret } from '#contract/secret'
import { endToEndHeaders } from '#http/hop-by-hop'
import { negotiatedClient } from '#gateway/upstream/negotiated-client'
import { ids } from './mesh.ts'

export type FloorOptions = {
  readonly port: number
  readonly endpoint: string
  readonly certificateFile: string
  readonly keyFile: string
  readonly clientCertificateFile: string
  readonly clientKeyFile: string
  readonly rootsFile: string
}

const options = JSON.parse(process.argv[2] ?? '{}') as FloorOptions
const text = (file: string) => readFileSync(file, 'utf8')
const client = negotiatedClient({
  endpoint: options.endpoint,
  expected: ids.orders,
  svid: {
    spiffeId: ids.gateway,
    certificateChain: text(options.clientCertificateFile),
    privateKey: secret(text(options.clientKeyFile)),
    bundle: text(options.rootsFile),
    notBeforeMs: 0,
    notAfterMs: Number.MAX_SAFE_INTEGER,
  },
  protocol: 'auto',
  maxConnections: 64,
  connectTimeoutMs: 2000,
})

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined

const server = createServer(
  {
    cert: text(options.certificateFile),
    key: text(options.keyFile),
    ciphers: 'TLS_AES_128_GCM_SHA256',
  },
  (req, res) => {
    const headers = endToEndHeaders(req.rawHeaders)
    const host = headers.indexOf('host')
    client.dispatch(
      {
        method: req.method ?? '',
        path: req.url ?? '',
        authority: headers[host + 1] ?? '',
        headers: headers.toSpliced(host, 2),
        body: hasBody(req) ? req : null,
        headersTimeoutMs: 15_000,
        idleTimeoutMs: 60_000,
      },
      {
        onStart: () => {},
        onHead: (status, fields) => void res.writeHead(status, [...fields]),
        onData: (chunk) => void res.write(chunk),
        onEnd: () => void res.end(),
        onError: () => void res.destroy(),
      },
    )
  },
)
server.maxRequestsPerSocket = 0
server.listen(options.port, '127.0.0.1')
