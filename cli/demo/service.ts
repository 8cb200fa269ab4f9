import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import { systemClock, systemRandomBytes, systemSleep } from '#contract/clock'
import type { SpiffeId } from '#contract/spiffe-id'
import { noMeter, type Log } from '#contract/telemetry'
import { checkCertificate } from '#http/certificates'
import { plainListener, sendProblem, type FastifyReply, type FastifyRequest } from '#http/listen'
import { ownSvidFromExchange } from '#identity/svid/own-svid-from-exchange'
import { peerSpiffeId } from '#identity/svid/peer'
import type { Svid } from '#identity/svid/svid'
import { mintedTokens } from './minted-tokens.ts'

/** What a service and its sidecar are made of. */
export type ServiceOptions = {
  readonly name: string
  readonly spiffeId: SpiffeId
  readonly port: number
  readonly exchange: { readonly url: string; readonly spiffeId: SpiffeId; readonly caFile: string }
  readonly joinTokenFile: string
  /** Who alone may call: the gateway. */
  readonly admits: SpiffeId
  /** Where its SVID is kept for programs beside it, always the one of now. */
  readonly svidFiles?: { readonly certificate: string; readonly key: string } | undefined
  readonly log: Log
}

export type Service = { readonly close: () => Promise<void> }

/**
 * A service behind its sidecar, as a mesh would run it. The sidecar demands the gateway's certificate, checks the minted
 * token against the exchange's keys, and lets nobody else through; the service answers with what it saw of its caller.
 */
export const startService = async (options: ServiceOptions): Promise<Service> => {
  const ownSvid = await ownSvidFromExchange({
    exchange: { ...options.exchange, timeoutMs: 2000 },
    caFile: options.exchange.caFile,
    joinTokenFile: options.joinTokenFile,
    spiffeId: options.spiffeId,
    clock: systemClock,
    sleep: systemSleep,
    randomBytes: systemRandomBytes,
    meter: noMeter,
    log: options.log,
  })
  const keepInFiles = ({ certificateChain, privateKey }: Svid) => {
    if (!options.svidFiles) return
    writeFileSync(options.svidFiles.certificate, certificateChain)
    writeFileSync(options.svidFiles.key, privateKey.reveal(), { mode: 0o600 })
  }
  keepInFiles(ownSvid.current())
  const { certificates, clientCertificates } = servingAs(ownSvid.current())
  const listener = plainListener({
    tls: {
      certificates,
      profile: 'modern',
      unknownServerName: 'default',
      clientCertificates,
      sessionTickets: false,
      handshakeTimeoutMs: 5000,
    },
    gate: { reservedPrefixes: [] },
    turnedAway: () => {},
    log: options.log,
  })
  ownSvid.onChange((svid) => {
    keepInFiles(svid)
    const next = servingAs(svid)
    listener.reloadTls(next.certificates, next.clientCertificates)
  })

  const verify = mintedTokens(
    options.exchange.url,
    options.spiffeId,
    () => ownSvid.current().bundle,
  )
  const callers = new WeakMap<object, string>()
  const sidecar = async (request: FastifyRequest, reply: FastifyReply) => {
    const peer = peerSpiffeId(request.raw.socket as TLSSocket)
    if (!peer.ok || peer.value !== options.admits)
      return sendProblem(reply, { tag: 'policy-denied' })
    const { authorization } = request.headers
    if (authorization === undefined) return undefined // a public route: nobody speaks for the caller
    const caller = await verify(authorization)
    if (caller === undefined) return sendProblem(reply, { tag: 'token-signature-invalid' })
    callers.set(request, caller)
    return undefined
  }
  listener.app.addHook('onRequest', sidecar)
  // Bodies are counted, not kept.
  listener.app.removeAllContentTypeParsers()
  listener.app.addContentTypeParser('*', async (_request: unknown, body: AsyncIterable<Buffer>) => {
    let bytes = 0
    for await (const chunk of body) bytes += chunk.length
    return bytes
  })
  listener.app.all('/*', async (request) => {
    await sleep(waitMsOf(request), undefined, { ref: false }) // a caller that left keeps nothing alive
    return whatItSaw(options, request, callers.get(request))
  })
  await listener.listen('127.0.0.1', options.port)

  return {
    close: async () => {
      ownSvid.close()
      await listener.close(1000)
    },
  }
}

const servingAs = (svid: Svid) => ({
  certificates: [
    checkCertificate(
      {
        certificate: svid.certificateChain,
        key: svid.privateKey,
        certificateName: 'its SVID',
        keyName: 'its key',
      },
      systemClock,
    ),
  ],
  clientCertificates: { roots: [svid.bundle], mode: 'require' as const },
})

/** `?waitMs=500`: a service that takes its time, for trying out what the gateway does meanwhile. */
const waitMsOf = ({ query }: FastifyRequest): number =>
  Math.min(60_000, Number((query as { waitMs?: string }).waitMs ?? 0) || 0)

const whatItSaw = (
  { name, admits }: ServiceOptions,
  { method, url, body, headers }: FastifyRequest,
  caller: string | undefined,
) => ({
  service: name,
  saw: {
    request: `${method} ${url}`,
    peerCertificate: admits,
    callerToken: caller ?? 'none',
    bodyBytes: typeof body === 'number' ? body : 0,
    headers: {
      ...headers,
      ...(headers.authorization ? { authorization: 'Bearer (the minted token)' } : {}),
    },
  },
})
