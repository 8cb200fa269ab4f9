import { once } from 'node:events'
import { Agent, request, type RequestOptions } from 'node:https'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { connect } from 'node:tls'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'

export type SoakTarget = {
  readonly port: number
  readonly ca: string
  readonly token: (claims?: object) => string
}

/** Callers of one kind; what happened to each is counted by a word. */
export type Callers = {
  readonly name: string
  readonly many: number
  readonly pauseMs: number
  /** One request; returns what became of it. */
  readonly once: (turn: number) => Promise<string>
}

/** Those of every kind: good ones, refused ones, those who leave, those who are slow, and WebSockets. */
export const soakCallers = ({ port, ca, token }: SoakTarget): readonly Callers[] => {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  const at = { host: '127.0.0.1', port, servername: 'localhost', ca, agent }
  const repeated = Array.from({ length: 20 }, (_, i) => token({ sub: `user-${i}` }))
  const bearer = (text: string) => ({ host: 'localhost', authorization: `Bearer ${text}` })
  const known = (turn: number) => bearer(repeated[turn % repeated.length] ?? '')
  const garbage = (turn: number): Record<string, string> => {
    const kinds: Record<string, string>[] = [
      { host: 'localhost' },
      bearer('nonsense'),
      bearer(`${token({ jti: String(turn) }).slice(0, -8)}AAAAAAAA`),
      bearer(token({ exp: 1 })),
      { ...known(turn), 'x-large': 'x'.repeat(20_000) },
    ]
    return kinds[turn % kinds.length] ?? {}
  }
  const ask = async (options: RequestOptions, body?: Buffer): Promise<string> => {
    const req = request({ ...at, ...options })
    req.end(body)
    const [res] = (await once(req, 'response')) as [IncomingMessage]
    res.resume()
    await once(res, 'end')
    return wordOf(res.statusCode, res.headers)
  }
  const leave = async (options: RequestOptions, afterMs: number, body?: Buffer) => {
    const req = request({ ...at, ...options, agent: false }).on('error', () => {})
    if (body) req.write(body)
    else req.end()
    await sleep(afterMs)
    req.destroy()
    return 'left'
  }
  const slowBody = async (headers: Record<string, string>) => {
    const req = request({ ...at, method: 'POST', path: '/orders/2', headers })
    for (let i = 0; i < 10; i += 1) {
      req.write(Buffer.alloc(2000))
      await sleep(50)
    }
    req.end()
    const [res] = (await once(req, 'response')) as [IncomingMessage]
    res.resume()
    await once(res, 'end')
    return wordOf(res.statusCode, res.headers)
  }
  const slowHead = async () => {
    const socket = connect({ ...at, agent: undefined } as object).on('error', () => {})
    socket.write('GET /orders/1 HTTP/1.1\r\nhost: loc')
    await once(socket.resume(), 'close')
    return 'cut'
  }
  const webSocket = async (turn: number) => {
    const socket = new WebSocket(`wss://localhost:${port}/orders/ws`, {
      ca,
      headers: known(turn),
      agent: false as never,
    })
    await once(socket, 'open')
    for (let i = 0; i < 20; i += 1) {
      socket.send('x'.repeat(1000))
      await once(socket, 'message')
    }
    const closed = once(socket, 'close')
    if (turn % 2 === 0) socket.close()
    else socket.terminate()
    await closed
    return 'echoed'
  }

  return [
    {
      name: 'good',
      many: 8,
      pauseMs: 5,
      once: (turn) =>
        ask({ path: `/${turn % 2 === 0 ? 'orders' : 'h2'}/${turn}`, headers: known(turn) }),
    },
    {
      name: 'good, new token',
      many: 2,
      pauseMs: 20,
      once: (turn) =>
        ask(
          { path: '/orders/1', method: 'POST', headers: bearer(token({ jti: `new-${turn}` })) },
          Buffer.alloc(3000),
        ),
    },
    {
      name: 'refused',
      many: 4,
      pauseMs: 10,
      once: (turn) => ask({ path: '/orders/1', headers: garbage(turn) }),
    },
    {
      name: 'leaves',
      many: 3,
      pauseMs: 20,
      once: (turn) =>
        turn % 2 === 0
          ? leave({ path: slowPath(turn), headers: known(turn) }, turn % 200)
          : leave(
              {
                path: '/orders/3',
                method: 'POST',
                headers: { ...known(turn), 'content-length': '90000' },
              },
              turn % 30,
              Buffer.alloc(10_000),
            ),
    },
    { name: 'slow body', many: 2, pauseMs: 10, once: (turn) => slowBody(known(turn)) },
    {
      name: 'slow answer',
      many: 2,
      pauseMs: 10,
      once: (turn) => ask({ path: slowPath(turn), headers: known(turn) }),
    },
    { name: 'slow head', many: 2, pauseMs: 100, once: slowHead },
    { name: 'websocket', many: 4, pauseMs: 20, once: webSocket },
  ]
}

/** Of a service over HTTP/1.1 and of one over HTTP/2. */
const slowPath = (turn: number): string => (turn % 4 < 2 ? '/orders/slow' : '/h2/slow')

/** What became of a request; of one that the gateway could not serve, why. */
export const wordOf = (status: number | undefined, headers: IncomingHttpHeaders): string =>
  (status ?? 0) < 500 ? String(status) : `${status} ${String(headers['x-sallyport-problem'])}`

export type Counts = Record<string, Record<string, number>>

/** Lets all of them call until `signal` aborts. */
export const callUntil = async (all: readonly Callers[], signal: AbortSignal): Promise<Counts> => {
  const counts: Counts = {}
  await Promise.all(
    all.flatMap(({ name, many, pauseMs, once: call }) =>
      Array.from({ length: many }, async (_, caller) => {
        const own = (counts[name] ??= {})
        for (let turn = caller; !signal.aborted; turn += many) {
          const became = await call(turn).catch(
            (cause: NodeJS.ErrnoException) => cause.code ?? cause.message,
          )
          own[became] = (own[became] ?? 0) + 1
          await sleep(pauseMs)
        }
      }),
    ),
  )
  return counts
}
