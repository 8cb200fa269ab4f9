import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import type { Contender } from './contender.ts'
import type { TokenMaker } from './tokens.ts'

/** A proxy that leaves out a check is faster. Before anything is measured, each of these must be answered as it says. */
const cases = (tokens: TokenMaker): readonly Case[] => {
  const seconds = Math.floor(Date.now() / 1000)
  const good = tokens.token()
  return [
    { what: 'no token', token: undefined, status: [401] },
    { what: 'a good token', token: good, status: [200] },
    { what: 'an altered signature', token: altered(good), status: [401] },
    { what: 'another issuer', token: tokens.token({ iss: 'https://evil.bench' }), status: [401] },
    // Envoy answers 403 to a token for somebody else.
    { what: 'another audience', token: tokens.token({ aud: 'https://else' }), status: [401, 403] },
    { what: 'an expired token', token: tokens.token({ exp: seconds - 3600 }), status: [401] },
    { what: 'no expiry', token: tokens.token({ exp: undefined }), status: [401] },
    { what: 'an escaped slash in the path', token: good, path: '/orders/a%2fb', status: [400] },
    { what: 'a header with _ in it', token: good, header: 'x_identity_sub', status: [400] },
  ]
}

type Case = {
  readonly what: string
  readonly token: string | undefined
  readonly path?: string
  readonly header?: string
  readonly status: readonly number[]
}

const altered = (token: string): string => {
  const at = token.length - 20
  return `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`
}

/** @throws Error that says what a contender answered, and should not have. */
export const checkAnswers = async (
  { name, url }: Contender,
  tokens: TokenMaker,
  edgeRoot: string,
): Promise<void> => {
  const agent = new Agent({ ca: readFileSync(edgeRoot) })
  for (const { what, token, path = '/orders/1', header, status } of cases(tokens)) {
    const headers = {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(header === undefined ? {} : { [header]: 'admin' }),
    }
    const answered = await ask(`${url}${path}`, headers, agent)
    if (!status.includes(answered))
      throw new Error(`${name} answered ${what} with ${answered}, not ${status.join(' or ')}`)
  }
  agent.destroy()
}

const ask = (url: string, headers: Record<string, string>, agent: Agent): Promise<number> =>
  new Promise((resolve, reject) => {
    const req = request(url, { headers, agent }, (res) => {
      res.resume()
      resolve(res.statusCode ?? 0)
    })
    req.on('error', reject)
    req.end()
  })
