import { createServer as createPlainServer, type RequestListener } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { MadeCertificate } from './openssl.ts'
import { makeCertificate, rootExtensions } from './openssl.ts'

export type RunningServer = {
  /** `https://localhost:PORT` */
  readonly url: string
  readonly port: number
  readonly close: () => Promise<void>
}

/** A CA for web servers, and a certificate of it for localhost. */
export const makeWebCertificate = (): { readonly ca: string; readonly server: MadeCertificate } => {
  const root = makeCertificate({ subject: '/CN=web root', extensions: rootExtensions() })
  const server = makeCertificate({
    issuer: root,
    subject: '/CN=localhost',
    extensions: ['subjectAltName = DNS:localhost, IP:127.0.0.1'],
  })
  return { ca: root.pem, server }
}

let shared: ReturnType<typeof makeWebCertificate> | undefined
/** The same for all who only need one: each is two runs of openssl, and starting a program takes a large process long. */
export const webCertificate = (): ReturnType<typeof makeWebCertificate> =>
  (shared ??= makeWebCertificate())

/** A real server on a free port. */
export const runHttps = async (
  certificate: Pick<MadeCertificate, 'pem' | 'keyPem'>,
  listener: RequestListener,
): Promise<RunningServer> => {
  const server = createServer(
    // Who shows a certificate is asked nothing more about it than that they hold its key.
    {
      cert: certificate.pem,
      key: certificate.keyPem,
      requestCert: true,
      rejectUnauthorized: false,
    },
    listener,
  )
  server.on('tlsClientError', () => {}) // a client that does not trust us is what some tests are about
  return started(server, 'https')
}

export const runHttp = async (listener: RequestListener): Promise<RunningServer> =>
  started(createPlainServer(listener), 'http')

const started = async (
  server: ReturnType<typeof createServer> | ReturnType<typeof createPlainServer>,
  scheme: string,
): Promise<RunningServer> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  const { port } = server.address() as AddressInfo
  return {
    url: `${scheme}://localhost:${port}`,
    port,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
