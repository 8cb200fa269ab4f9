import { connect, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2'
import { once } from 'node:events'
import type { LookupFunction } from 'node:net'
import type { CallerRequest, CallerResponse } from '#http/caller'
import { defaultHttp2Limits, type Http2Limits } from '#http/h2-server/limits'
import type { Listener } from '#http/listen'
import { replyProblemOnSocket } from '#http/problem-reply'
import type { ListenerLimits } from '#http/server'
import { runEdge, serverTls, trusting } from '../fixtures.ts'

type Take = (req: CallerRequest, res: CallerResponse) => void | Promise<void>

/** An edge that offers HTTP/2, with one request handler for both versions. */
export const h2Edge = async (
  take: Take,
  {
    limits = {},
    http2 = {},
    own,
    isOwn,
  }: {
    limits?: Partial<ListenerLimits>
    http2?: Partial<Http2Limits>
    own?: (app: Listener['app']) => void
    isOwn?: (req: { readonly url?: string | undefined }) => boolean
  } = {},
) => {
  const abused: string[] = []
  const edge = await runEdge(
    {
      tls: serverTls,
      limits,
      ...(isOwn ? { isOwn } : {}),
      doors: {
        request: take,
        upgrade: (_req, socket) => void replyProblemOnSocket(socket, { tag: 'upgrade-refused' }),
        connect: (_req, socket) => void replyProblemOnSocket(socket, { tag: 'method-not-allowed' }),
      },
      http2: {
        limits: { ...defaultHttp2Limits, ...http2 },
        request: take,
        abused: (_peer, cause) => void abused.push(cause),
      },
    },
    own,
  )
  return { ...edge, abused }
}

export const h2Client = (port: number, ca: string = trusting.ca): ClientHttp2Session => {
  const session = connect(`https://localhost:${port}`, { ca, lookup: toLoopback })
  session.on('error', () => {})
  return session
}

const toLoopback: LookupFunction = (_name, { all }, done) =>
  all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4)

export type H2Answer = {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** One request; rejects if its stream does not end well. */
export const askH2 = async (
  session: ClientHttp2Session,
  headers: Record<string, string | string[]> = {},
  body?: string | Buffer,
): Promise<H2Answer> => {
  const stream = session.request({ ':path': '/a', ...headers }, { endStream: body === undefined })
  const chunks: Buffer[] = []
  let received: IncomingHttpHeaders = {}
  stream.on('response', (given) => (received = given))
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  if (body !== undefined) stream.end(body)
  await once(stream, 'close')
  if (stream.rstCode !== 0 && received[':status'] === undefined)
    throw new Error(`reset with ${stream.rstCode}`)
  return {
    status: Number(received[':status']),
    headers: received,
    text: Buffer.concat(chunks).toString(),
  }
}
