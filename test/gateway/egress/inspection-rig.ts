// A way out that looks into TLS, with a real exchange behind it and a destination of HTTP/1.1 and HTTP/2.
import { once } from 'node:events'
import { createSecureServer } from 'node:http2'
import { createServer } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after } from 'node:test'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { startTestExchange } from '#test/exchange/running-exchange'
import type { MadeCertificate } from '#test/fakes/openssl'
import { wireOn, type Wire } from '#test/http/wire'
import { runRig, shop, type Certificates, type RigOptions } from './rig.ts'

type Listener = (req: IncomingMessage, res: ServerResponse) => void

/** A destination that speaks what it is asked for (ALPN), or HTTP/1.1 alone. */
export const runDestination = async (
  certificate: Pick<MadeCertificate, 'pem' | 'keyPem'>,
  listener: Listener,
  { alsoHttp2 = false } = {},
) => {
  const sockets = new Set<TLSSocket>()
  const options = { cert: certificate.pem, key: certificate.keyPem }
  const server = alsoHttp2
    ? createSecureServer({ ...options, allowHTTP1: true }, listener as never) // its requests are enough alike
    : createServer(options, listener)
  server.on('tlsClientError', () => {}).on('sessionError', () => {})
  server.on('secureConnection', (socket: TLSSocket) => {
    sockets.add(socket)
    socket.on('error', () => {}).once('close', () => sockets.delete(socket))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return { server, port: (server.address() as AddressInfo).port, sockets }
}

/** @param hosts That the exchange signs for. */
export const runInspectionRig = async (
  certs: Certificates,
  hosts: readonly string[],
  options: RigOptions,
) => {
  const exchange = await startTestExchange({ inspection: { hosts } })
  const gateway = await exchange.join()
  const rig = await runRig(certs, {
    ...options,
    exchangeUrl: `https://127.0.0.1:${exchange.exchange.port}`,
    gateway: { ...gateway, bundle: exchange.roots() },
  })
  let isStopped = false
  const stopExchange = async () => {
    if (!isStopped) await exchange.stop()
    isStopped = true
  }
  after(stopExchange)
  const ca = (await exchange.ask({ path: '/inspection/ca.pem' })).body.toString()

  /** TLS within a tunnel, as a workload that trusts the inspection CA; and the decision id of the tunnel. */
  const tunnelTo = async (
    place: string,
    {
      servername = place.split(':')[0],
      alpn = ['http/1.1'],
      trusted = ca,
      as = shop,
    }: {
      servername?: string
      alpn?: readonly string[]
      trusted?: string
      as?: string
    } = {},
  ) => {
    const { wire, answer } = await rig.connect(place, { as })
    const decisionId = /x-sallyport-decision-id: (\S+)/.exec(answer.head)?.[1] ?? ''
    if (answer.status !== 200) return { answer, decisionId, tls: undefined }
    const tls = connectTls({
      socket: wire.socket,
      ...(servername === undefined ? {} : { servername }),
      ca: trusted,
      ALPNProtocols: [...alpn],
    })
    tls.on('error', () => {})
    return { answer, decisionId, tls }
  }
  return {
    ...rig,
    exchange,
    stopExchange,
    ca,
    tunnelTo,
    /** The same, once its handshake is through, to write HTTP/1.1 into. */
    inside: async (
      place: string,
      as = shop,
    ): Promise<Wire & { readonly decisionId: string; readonly tls: TLSSocket }> => {
      const { tls, answer, decisionId } = await tunnelTo(place, { as })
      if (!tls) throw new Error(`no tunnel: ${answer.head}${answer.body}`)
      return { ...(await wireOn(tls, 'secureConnect')), decisionId, tls }
    },
    closedRecord: (decisionId: string) =>
      rig.recordOf((event) => event.decisionId === decisionId && event.egress?.phase === 'closed'),
    requestRecord: (tunnel: string, path: string) =>
      rig.recordOf(({ egress, request }) => egress?.tunnel === tunnel && request?.path === path),
  }
}
export type InspectionRig = Awaited<ReturnType<typeof runInspectionRig>>
