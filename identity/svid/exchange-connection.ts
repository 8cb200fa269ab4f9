import { readFile } from 'node:fs/promises'
import { causeText } from '#contract/cause'
import type { SpiffeId } from '#contract/spiffe-id'
import { boundedFetch, type FetchQuestion } from '#http/bounded-fetch'
import { parseStrictObject } from '../json-strict.ts'
import { bad, good, type Outcome } from '../outcome.ts'
import { certificatesOf } from './pem.ts'
import { spiffePeer } from './peer.ts'
import type { Svid } from './svid.ts'

/** Where the exchange is and who must answer there. */
export type ExchangeAddress = {
  /** `https://HOST:PORT` */
  readonly url: string
  readonly spiffeId: SpiffeId
  /** For one question, the connection included. */
  readonly timeoutMs: number
}

const maxAnswerBytes = 524_288

/**
 * Asks the exchange one question over a connection of its own, pinned to its roots and its SPIFFE ID.
 *
 * @param roots PEM.
 * @param svid To come with; undefined to come as nobody.
 * @returns The body of a 200; a fault otherwise.
 */
export const askExchange = async (
  { url, spiffeId, timeoutMs }: ExchangeAddress,
  path: string,
  roots: string,
  svid: Svid | undefined,
  question: FetchQuestion = {},
): Promise<Outcome<Buffer>> => {
  const { tlsOptions } = spiffePeer({ expected: spiffeId, bundle: roots })
  const client = svid && {
    certificateChain: svid.certificateChain,
    privateKey: svid.privateKey.reveal(),
  }
  const fetcher = boundedFetch({
    ca: tlsOptions.ca,
    checkServerIdentity: tlsOptions.checkServerIdentity,
    client,
    timeoutMs,
    maxBodyBytes: maxAnswerBytes,
  })
  try {
    const answer = await fetcher.ask(new URL(path, url).href, question)
    if (!answer.ok) return bad(answer.fault)
    if (answer.status === 200) return good(answer.body)
    return bad(`the exchange answered ${answer.status}${errorIn(answer.body)}`)
  } finally {
    fetcher.close()
  }
}

/** The roots for the first connection, read anew each time: the exchange may not have written them yet. */
export const readRoots = async (file: string): Promise<Outcome<string>> => {
  try {
    const roots = await readFile(file, 'utf8')
    const certificates = certificatesOf(roots)
    return certificates.ok ? good(roots) : bad(`${file}: ${certificates.fault}`)
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause)) throw cause
    return bad(causeText(cause))
  }
}

/** What an OAuth error or a problem says of itself. */
const errorIn = (body: Buffer): string => {
  const parsed = parseStrictObject(body)
  if (!parsed.ok) return ''
  const { error, error_description: description, title, detail } = parsed.value
  const words = [error, description, title, detail].filter((word) => typeof word === 'string')
  return words.length === 0 ? '' : `: ${words.join(': ').slice(0, 200)}`
}
