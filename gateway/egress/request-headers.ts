import type { EgressDecision } from '#contract/egress'
import { placeOf } from './allow.ts'
import { hostHeader } from './authority.ts'
import type { GivenCredential } from './credentials/credential.ts'
import type { Ask } from './read-ask.ts'

export type Sending = {
  readonly ask: Extract<Ask, { kind: 'request' }>
  readonly decision: EgressDecision
  readonly credential?: GivenCredential | undefined
}

const httpPort = 80
const httpsPort = 443
const nothing = { headers: [], removes: [] } as const
/** By these an answer would be asked for that nobody can look through: a coded body, messages of gRPC or WebSockets that are compressed. */
const encodings = ['accept-encoding', 'grpc-accept-encoding', 'sec-websocket-extensions'] as const

/** The Host of what goes out: that of the one authority, whatever was sent. */
export const authorityOf = (sending: Pick<Sending, 'ask' | 'decision'>): string =>
  hostHeader(placeOf(sending), sending.decision.protocol === 'http' ? httpPort : httpsPort)

/**
 * The headers of a request as they go out, without Host: what the rule adds stands in the place of the workload's own. An
 * answer to a request with a credential is asked for as it is, for it is looked through.
 */
export const requestHeaders = ({ ask, credential }: Sending, viaName: string): string[] => {
  const added = credential?.attachment.reveal() ?? nothing
  const taken = new Set<string | undefined>(['host', ...added.removes, ...namesOf(added.headers)])
  if (credential) for (const name of encodings) taken.add(name)
  const headers: string[] = []
  for (let i = 0; i + 1 < ask.head.headers.length; i += 2) {
    const [name = '', value = ''] = [ask.head.headers[i], ask.head.headers[i + 1]]
    if (!taken.has(name)) headers.push(name, value)
  }
  headers.push(...added.headers)
  if (credential) headers.push('accept-encoding', 'identity')
  if (ask.head.acceptsTrailers) headers.push('te', 'trailers')
  headers.push('via', `1.1 ${viaName}`)
  return headers
}

const namesOf = (headers: readonly string[]): readonly string[] =>
  headers.filter((_, i) => i % 2 === 0)
