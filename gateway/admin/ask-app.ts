import type { FastifyInstance } from '#http/listen'

/** What came to an admin listener, to be answered in another process. */
export type AdminQuestion = {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** Base64. */
  readonly body: string
}

export type AdminAnswer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Base64. */
  readonly body: string
}

/** Asks an app without a connection. */
export const askApp = async (
  app: FastifyInstance,
  { method, url, headers, body }: AdminQuestion,
): Promise<AdminAnswer> => {
  const answer = await app.inject({
    method: method as 'GET',
    url,
    headers,
    ...(body === '' ? {} : { payload: Buffer.from(body, 'base64') }),
  })
  return {
    status: answer.statusCode,
    headers: textsOf(answer.headers),
    body: answer.rawPayload.toString('base64'),
  }
}

/** Those of which there is one. */
export const textsOf = (headers: object): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(headers).filter(
      (entry): entry is [string, string] => typeof entry[1] === 'string',
    ),
  )
