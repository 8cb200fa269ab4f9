import { constants, type ClientHttp2Session } from 'node:http2'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  Metadata,
  type Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ServiceError,
  type StatusObject,
  status,
} from '@grpc/grpc-js'
import { h2Client } from '#test/http/h2-server/h2-edge'
import { echoService, grpcClient } from '#test/fakes/grpc-echo'
import { wordOf, type Callers, type SoakTarget } from './soak-callers.ts'

/** A connection is used for so many requests, so that connections come and go. */
const requestsPerConnection = 50
/** Node refuses by itself what is under way when it is told to close. */
const lastAnswersMs = 5000
const message = Buffer.alloc(1000, 'x')
const asIs = (bytes: Buffer): Buffer => bytes

/** `once` would give up at its error, which says the same. */
const statusOf = (call: ClientReadableStream<Buffer> | ClientDuplexStream<Buffer, Buffer>) =>
  new Promise<StatusObject>((resolve) => call.once('status', resolve))

/** Callers over HTTP/2, and of gRPC by the library that its callers use: good ones, and those who leave midway. */
export const soakH2Callers = ({
  port,
  ca,
  token,
}: SoakTarget): { readonly callers: readonly Callers[]; readonly close: () => void } => {
  const connections = new Map<string, { readonly session: ClientHttp2Session; left: number }>()
  const clients = new Map<string, { readonly client: Client; left: number }>()
  const text = `Bearer ${token({ sub: 'user-h2' })}`

  const sessionOf = (name: string): ClientHttp2Session => {
    const known = connections.get(name)
    if (known && known.left > 0 && !known.session.closed && !known.session.destroyed) {
      known.left -= 1
      return known.session
    }
    if (known) setTimeout(() => known.session.close(), lastAnswersMs).unref()
    const session = h2Client(port, ca)
    session.on('error', () => {})
    connections.set(name, { session, left: requestsPerConnection })
    return session
  }
  const clientOf = (name: string): Client => {
    const known = clients.get(name)
    if (known && known.left > 0) {
      known.left -= 1
      return known.client
    }
    if (known) setTimeout(() => known.client.close(), lastAnswersMs).unref()
    const client = grpcClient(port, ca)
    clients.set(name, { client, left: requestsPerConnection })
    return client
  }
  const ask = (name: string, path: string, body?: Buffer) =>
    sessionOf(name)
      .request({ ':path': path, ':method': body ? 'POST' : 'GET', authorization: text })
      .on('error', () => {})
      .end(body)
  const answered = async (name: string, path: string, body?: Buffer): Promise<string> => {
    const stream = ask(name, path, body)
    let became = 'no answer'
    stream.once('response', (headers) => (became = wordOf(headers[':status'], headers)))
    stream.resume()
    await new Promise((resolve) => stream.once('close', resolve))
    return stream.rstCode === 0 ? became : `${became}, reset ${stream.rstCode}`
  }
  const resets = async (turn: number): Promise<string> => {
    const stream = ask('resets', turn % 2 === 0 ? '/h2/slow' : '/orders/slow')
    await sleep(turn % 150)
    stream.close(constants.NGHTTP2_CANCEL)
    return 'left'
  }
  const metadata = (): Metadata => {
    const own = new Metadata()
    own.set('authorization', text)
    return own
  }
  const unary = (): Promise<string> =>
    new Promise((resolve) => {
      let trailer: Metadata | undefined
      const call = clientOf('unary').makeUnaryRequest<Buffer, Buffer>(
        echoService.unary.path,
        asIs,
        asIs,
        message,
        metadata(),
        (error: ServiceError | null, value?: Buffer) =>
          setImmediate(() => {
            const isWhole = value?.equals(message) === true && trailer?.get('x-sum')[0] === '1'
            resolve(
              error ? `status ${error.code}: ${error.details}` : isWhole ? 'answered' : 'not whole',
            )
          }),
      )
      call.once('status', ({ metadata }: StatusObject) => (trailer = metadata))
    })
  const stream = async (turn: number, isLeft: boolean): Promise<string> => {
    const call = clientOf(isLeft ? 'leaves' : 'stream').makeBidiStreamRequest<Buffer, Buffer>(
      echoService.both.path,
      asIs,
      asIs,
      metadata(),
    )
    let got = 0
    call.on('data', () => (got += 1)).on('error', () => {})
    const over = statusOf(call)
    for (let i = 0; i < 10; i += 1) {
      call.write(message)
      await sleep(10)
      if (isLeft && i === turn % 10) call.cancel()
    }
    call.end()
    const { code, details } = await over
    if (isLeft) return 'left'
    return code === status.OK && got === 10
      ? 'answered'
      : `status ${code}, ${got} messages: ${details}`
  }
  const down = async (): Promise<string> => {
    const call = clientOf('down').makeServerStreamRequest<Buffer, Buffer>(
      echoService.down.path,
      asIs,
      asIs,
      message,
      metadata(),
    )
    let got = 0
    call.on('data', () => (got += 1)).on('error', () => {})
    const { code, details } = await statusOf(call)
    return code === status.OK && got === 20
      ? 'answered'
      : `status ${code}, ${got} messages: ${details}`
  }

  const callers: readonly Callers[] = [
    {
      name: 'good, HTTP/2',
      many: 4,
      pauseMs: 5,
      once: (turn) => answered('good', `/${turn % 2 === 0 ? 'h2' : 'orders'}/${turn}`),
    },
    {
      name: 'body, HTTP/2',
      many: 2,
      pauseMs: 20,
      once: (turn) => answered('body', `/h2/${turn}`, Buffer.alloc(30_000)),
    },
    { name: 'leaves, HTTP/2', many: 2, pauseMs: 20, once: resets },
    { name: 'gRPC', many: 3, pauseMs: 10, once: unary },
    { name: 'gRPC, answers', many: 1, pauseMs: 20, once: down },
    { name: 'gRPC, both ways', many: 2, pauseMs: 10, once: (turn) => stream(turn, false) },
    { name: 'gRPC, leaves', many: 1, pauseMs: 20, once: (turn) => stream(turn, true) },
  ]
  const close = () => {
    for (const { session } of connections.values()) session.destroy()
    for (const { client } of clients.values()) client.close()
  }
  return { callers, close }
}
