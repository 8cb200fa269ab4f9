import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { X509SvidAnswer } from '#contract/token-exchange'
import { leafExtensions, makeRoot, makeSvid, signCsr, type MadeCertificate } from './openssl.ts'

export type AskedForSvid = {
  readonly path: string
  readonly contentType: string | undefined
  readonly authorization: string | undefined
  /** Whether it came with a certificate that our root vouches for. */
  readonly isMutual: boolean
}

export type SvidExchange = {
  readonly url: string
  readonly root: MadeCertificate
  readonly asked: AskedForSvid[]
  /** What is answered instead of an SVID. */
  readonly setAnswer: (
    answer: ((response: ServerResponse, good: () => X509SvidAnswer) => void) | undefined,
  ) => void
  /** How long the next ones live. */
  readonly setDays: (days: number) => void
  readonly close: () => Promise<void>
}

/**
 * An exchange made of openssl, for the faults that ours does not have: it can be somebody else, certify anybody, and
 * answer anything.
 */
export const runSvidExchange = async (
  exchangeId: string,
  certifies: string,
  {
    root = makeRoot('mesh.example'),
    shows,
    port = 0,
  }: { root?: MadeCertificate; shows?: MadeCertificate; port?: number } = {},
): Promise<SvidExchange> => {
  const own = shows ?? makeSvid(root, exchangeId)
  const asked: AskedForSvid[] = []
  let days = 1
  let answer: ((response: ServerResponse, good: () => X509SvidAnswer) => void) | undefined
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    asked.push({
      path: request.url ?? '',
      contentType: request.headers['content-type'],
      authorization: request.headers.authorization,
      isMutual: (request.socket as TLSSocket).authorized,
    })
    const csr = Buffer.concat(chunks).toString()
    const good = (): X509SvidAnswer => ({
      spiffe_id: certifies,
      x509_svid: signCsr(root, csr, leafExtensions(`URI:${certifies}`), days),
      bundle: root.pem,
      expires_at: Math.floor(Date.now() / 1000) + days * 86_400,
    })
    if (answer) answer(response, good)
    else response.end(JSON.stringify(good()))
  }
  const server = createServer(
    { cert: own.pem, key: own.keyPem, ca: root.pem, requestCert: true, rejectUnauthorized: false },
    (request, response) => void handle(request, response),
  )
  server.on('tlsClientError', () => {})
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', () => resolve()))
  return {
    url: `https://localhost:${(server.address() as AddressInfo).port}`,
    root,
    asked,
    setDays: (next) => {
      days = next
    },
    setAnswer: (next) => {
      answer = next
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
