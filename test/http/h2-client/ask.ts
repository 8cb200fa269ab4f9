import { connect as connectTcp } from 'node:net'
import type { Readable } from 'node:stream'
import { type Connect, h2Client, type H2Limits } from '#http/h2-client/h2-client'
import type { UpstreamClient, UpstreamControl, UpstreamFault } from '#http/upstream-client'

export type Answer = {
  readonly status: number
  readonly headers: readonly string[]
  readonly body: string
  readonly trailers: readonly string[]
  readonly informational: readonly number[]
  /** Undefined if the answer is whole. */
  readonly fault: UpstreamFault | undefined
}

export type Asked = {
  readonly method?: string
  readonly path?: string
  readonly headers?: readonly string[]
  readonly body?: Buffer | Readable | null
  readonly needsHttp2?: boolean
  readonly headersTimeoutMs?: number
  readonly idleTimeoutMs?: number
  readonly onStart?: (control: UpstreamControl) => void
  readonly onHead?: (control: UpstreamControl) => void
  readonly onData?: (control: UpstreamControl, chunk: Buffer) => void
}

/** Sends one request and collects what becomes of it, checking that the handler is called in the promised order. */
export const ask = (client: UpstreamClient, asked: Asked = {}): Promise<Answer> =>
  new Promise((resolve, reject) => {
    let stage: 'new' | 'dispatching' | 'waiting' | 'head' | 'last' | 'over' = 'new'
    let status = 0
    let headers: readonly string[] = []
    let control: UpstreamControl | undefined
    const informational: number[] = []
    const chunks: Buffer[] = []
    const expect = (...stages: (typeof stage)[]) => {
      if (!stages.includes(stage)) reject(new Error(`called at a wrong time: ${stage}`))
    }
    const over = (trailers: readonly string[], fault: UpstreamFault | undefined) => {
      stage = 'over'
      const body = Buffer.concat(chunks).toString('latin1')
      resolve({ status, headers, body, trailers, informational, fault })
    }
    stage = 'dispatching'
    client.dispatch(
      {
        method: asked.method ?? 'GET',
        path: asked.path ?? '/',
        authority: 'peer.test',
        headers: asked.headers ?? [],
        body: asked.body ?? null,
        needsHttp2: asked.needsHttp2 ?? false,
        headersTimeoutMs: asked.headersTimeoutMs ?? 5_000,
        idleTimeoutMs: asked.idleTimeoutMs ?? 5_000,
      },
      {
        onStart: (given) => {
          expect('dispatching')
          control = given
          asked.onStart?.(given)
        },
        onInformation: (code) => {
          expect('waiting')
          informational.push(code)
        },
        onHead: (code, fields) => {
          expect('waiting')
          stage = 'head'
          status = code
          headers = fields
          if (control) asked.onHead?.(control)
        },
        onData: (chunk, last) => {
          expect('head')
          if (chunk.length === 0) reject(new Error('an empty chunk'))
          if (last) stage = 'last'
          chunks.push(chunk)
          if (control) asked.onData?.(control, chunk)
        },
        onEnd: (trailers) => {
          expect('head', 'last')
          over(trailers, undefined)
        },
        onError: (fault) => {
          if (stage === 'over') reject(new Error('told the end twice'))
          over([], fault)
        },
      },
    )
    if (stage === 'dispatching') stage = 'waiting'
  })

/** Plain TCP, by `onread` or, to have the other way tested too, by `data` events. */
export const tcp =
  (port: number, by: 'onread' | 'data' = 'onread'): Connect =>
  ({ onread, signal }) =>
    new Promise((resolve) => {
      const more = by === 'onread' ? { onread } : {}
      const socket = connectTcp({ port, host: '127.0.0.1', noDelay: true, signal, ...more })
      socket.once('connect', () => resolve({ ok: true, socket }))
      socket.once('error', (cause) => resolve({ ok: false, kind: 'unreachable', cause }))
    })

/** A client of one peer on loopback. */
export const clientOf = (
  port: number,
  limits: Partial<H2Limits> = {},
  by: 'onread' | 'data' = 'onread',
): UpstreamClient => h2Client({ connect: tcp(port, by), scheme: 'http', limits })

/** Waits until something holds, for at most so long. */
export const until = async (holds: () => boolean, what: string, limitMs = 5_000) => {
  const endMs = performance.now() + limitMs
  while (!holds()) {
    if (performance.now() > endMs) throw new Error(`waited in vain: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
