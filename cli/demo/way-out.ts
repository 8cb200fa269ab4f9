import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { request as ask } from 'node:https'
import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { DemoMesh } from './mesh.ts'

export type WentOut = {
  /** Of the proxy, if it refused; else of the destination. */
  readonly status: number
  /** The tag of a refusal. */
  readonly error: string | undefined
}

const timeoutMs = 10_000

/** Goes out as the service `orders`, by its certificate, the way every client does that is told of a proxy: CONNECT, TLS, request. */
export const goOut = async ({ files, ports }: DemoMesh, url: URL): Promise<WentOut> => {
  const outsideRoot = readFileSync(files.outsideRoot)
  const place = `${url.hostname}:${url.port || '443'}`
  const asked = ask({
    host: 'localhost',
    servername: 'localhost', // and not what the Host header says
    port: ports.egress,
    method: 'CONNECT',
    path: place,
    headers: { host: place },
    ca: outsideRoot,
    cert: readFileSync(files.ordersSvid),
    key: readFileSync(files.ordersKey),
    agent: false,
    signal: AbortSignal.timeout(timeoutMs),
  }).end()
  const [answer, socket] = (await once(asked, 'connect')) as [IncomingMessage, Socket, Buffer]
  if (answer.statusCode !== 200) {
    socket.destroy()
    return {
      status: answer.statusCode ?? 0,
      error: String(answer.headers['x-sallyport-error']),
    }
  }
  const inside = ask(url, {
    createConnection: () => connectTls({ socket, servername: url.hostname, ca: outsideRoot }),
    signal: AbortSignal.timeout(timeoutMs),
  }).end()
  const [got] = (await once(inside, 'response')) as [IncomingMessage]
  got.resume()
  await once(got, 'end')
  socket.destroy()
  return { status: got.statusCode ?? 0, error: undefined }
}
