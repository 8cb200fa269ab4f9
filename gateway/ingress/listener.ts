import type { IngressListener } from '#config/schema'
import type { Clock } from '#contract/clock'
import { cipherGroups, type LabelsOf, type Log, type Meter } from '#contract/telemetry'
import { networks } from '#http/networks'
import type { Handshake } from '#http/server'
import {
  checkCertificate,
  readCertificateFiles,
  readRoots,
  type ServerCertificate,
} from '#http/certificates'
import type { ClientCertificates } from '#http/tls'
import { edgeListener, type Listener } from '#http/listen'
import type { Taken } from './take-requests.ts'

export type IngressListening = {
  readonly config: IngressListener
  readonly certificates: readonly ServerCertificate[]
  /** Undefined where callers are not asked for one. */
  readonly clientCertificates: ClientCertificates | undefined
  readonly ticketKeys?: Buffer | undefined
  readonly take: Taken
  /** Whether this gateway serves now, for load balancers that ask on the same port. */
  readonly isReady: () => boolean
  readonly meter: Meter
  readonly log: Log
}

type TurnedAway = LabelsOf<'sallyport_turned_away_total'>['reason']

/** Where callers from outside come in. Only its own health path is answered by Fastify, all else goes the way in. */
export const ingressListener = (listening: IngressListening): Listener => {
  const { config, clientCertificates, take, isReady, meter, log } = listening
  const { healthPath } = config
  const turnedAway = new Map<TurnedAway, () => void>()
  const listener = edgeListener({
    tls: {
      certificates: listening.certificates,
      profile: config.tls.profile,
      unknownServerName: 'default',
      clientCertificates,
      ticketKeys: listening.ticketKeys,
      handshakeTimeoutMs: config.limits.headersTimeoutMs,
    },
    limits: config.limits,
    proxyProtocol: config.proxyProtocol && {
      ...config.proxyProtocol,
      trustedProxies: networks(config.proxyProtocol.trustedProxies),
    },
    handshaken: countHandshakes(meter),
    isOwn: (req) => healthPath !== undefined && req.url === healthPath,
    doors: take,
    http2: config.http2.offered
      ? { limits: config.http2, request: take.request, abused: take.abused }
      : undefined,
    turnedAway: (reason) => {
      const count =
        turnedAway.get(reason) ??
        meter.counter('sallyport_turned_away_total', { direction: 'ingress', reason })
      turnedAway.set(reason, count)
      count()
    },
    log,
  })
  if (healthPath !== undefined)
    listener.app.get(healthPath, (_request, reply) =>
      reply.code(isReady() ? 200 : 503).send({ ready: isReady() }),
    )
  return listener
}

/** TLS 1.3 spells it `TLS_AES_128_GCM_SHA256`, TLS 1.2 `ECDHE-ECDSA-AES128-GCM-SHA256`. */
const cipherGroupOf = (name: string): (typeof cipherGroups)[number] | 'other' => {
  const plain = (text: string) => text.replaceAll(/[-_]/g, '')
  return cipherGroups.find((group) => plain(name).includes(plain(group))) ?? 'other'
}

/** Handshakes are as many as there are kinds of them, whatever callers send. */
const countHandshakes = (meter: Meter) => {
  const known = new Map<string, () => void>()
  return ({ version, cipher, resumed }: Handshake) => {
    const labels = {
      listener: 'ingress',
      version: version === 'TLSv1.3' || version === 'TLSv1.2' ? version : 'other',
      cipher: cipherGroupOf(cipher),
      resumed: resumed ? 'yes' : 'no',
    } as const
    const key = `${labels.version} ${labels.cipher} ${labels.resumed}`
    const count = known.get(key) ?? meter.counter('sallyport_tls_handshakes_total', labels)
    known.set(key, count)
    count()
  }
}

/** @throws Error naming the file that cannot be served, and the remedy. */
export const readIngressCertificates = (
  { tls }: IngressListener,
  clock: Clock,
): Promise<readonly ServerCertificate[]> =>
  Promise.all(
    tls.certificates.map(async (files) =>
      checkCertificate(await readCertificateFiles(files), clock),
    ),
  )

/**
 * What callers' certificates must lead to: asked for and not demanded, so that who has none, or a bad one, is told so in an
 * answer, by the routes that want one.
 *
 * @throws Error naming the file that cannot be read, and the remedy.
 */
export const readClientCertificates = async ({
  tls: { clientCertificates },
}: IngressListener): Promise<ClientCertificates | undefined> =>
  clientCertificates && {
    roots:
      clientCertificates.rootsFile === undefined
        ? []
        : [await readRoots(clientCertificates.rootsFile)],
    mode: 'request',
  }
