import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { systemClock } from '#contract/clock'
import { secret } from '#contract/secret'
import { checkCertificate, type CertificateSource } from '#http/certificates'
import { plainListener, edgeListener, type EdgeOptions, type Listener } from '#http/listen'
import type { TlsSettings } from '#http/tls'
import { noLog } from '#contract/telemetry'

const at = (name: string) => new URL(`../fixtures/tls/${name}`, import.meta.url)
export const pem = (name: string): string => readFileSync(at(`${name}.pem`), 'utf8')

/** A certificate of `test/fixtures/tls` with its key. */
export const source = (name: string, keyOf = name): CertificateSource => ({
  certificate: pem(name),
  key: secret(pem(`${keyOf}.key`)),
  certificateName: `${name}.pem`,
  keyName: `${keyOf}.key.pem`,
})
export const certificate = (name: string) => checkCertificate(source(name), systemClock)

export const serverTls: TlsSettings = {
  certificates: [certificate('server')],
  profile: 'intermediate',
}
/** For a client: trusts the test CA. */
export const trusting = { ca: pem('ca') }

type Running = { readonly listener: Listener; readonly port: number; readonly turned: string[] }

/** An edge on a free port; ended with the test file by `close`. */
export const runEdge = async (
  options: Partial<EdgeOptions> & Pick<EdgeOptions, 'doors'>,
  own: (app: Listener['app']) => void = () => {},
): Promise<Running> => {
  const turned: string[] = []
  const listener = edgeListener({
    isOwn: () => false,
    turnedAway: (reason) => void turned.push(reason),
    log: noLog,
    ...options,
  })
  own(listener.app)
  const { port } = await listener.listen('127.0.0.1', 0)
  return { listener, port, turned }
}

export const runPlain = async (
  routes: (app: Listener['app']) => void,
  options: Partial<Parameters<typeof plainListener>[0]> = {},
): Promise<Running> => {
  const turned: string[] = []
  const listener = plainListener({
    turnedAway: (reason) => void turned.push(reason),
    log: noLog,
    ...options,
  })
  routes(listener.app)
  const { port } = await listener.listen('127.0.0.1', 0)
  return { listener, port, turned }
}

/** Reads and forgets a body. A request that announces none is at its end from the beginning where it is only forwarded. */
export const whenRead = (req: IncomingMessage, done: () => void): void => {
  if (req.readableEnded) done()
  else req.resume().on('end', done)
}
