import { Agent, request as ask } from 'undici'

export type DemoAnswer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: unknown
}

export type DemoRequest = {
  readonly method?: string
  readonly path: string
  readonly token?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
}

export type Caller = {
  readonly send: (request: DemoRequest) => Promise<DemoAnswer>
  /** How many requests it has sent. */
  readonly sent: () => number
  readonly close: () => Promise<void>
}

/** Calls the gateway as anybody outside would: over TLS, trusting the outside CA alone. */
export const callerOf = (ingressUrl: string, root: string): Caller => {
  let sent = 0
  const agent = new Agent({ connect: { ca: root }, connections: 4 })
  return {
    send: async ({ method = 'GET', path, token, headers = {} }) => {
      sent += 1
      const answer = await ask(`${ingressUrl}${path}`, {
        method,
        dispatcher: agent,
        headers: token === undefined ? headers : { ...headers, authorization: `Bearer ${token}` },
      })
      const text = await answer.body.text()
      return { status: answer.statusCode, headers: answer.headers, body: parsed(text) }
    },
    sent: () => sent,
    close: () => agent.close(),
  }
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
