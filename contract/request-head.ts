/**
 * The head of a request after the gate: proven well-formed, its path normalised once. Router, guards, policy and
 * upstream all read this and nothing else.
 */
export type RequestHead = {
  /** Upper-case, on the list of methods that are served. */
  readonly method: string
  /** Lower-case, without port. */
  readonly host: string
  /** From the Host header; undefined when it names none. */
  readonly port: number | undefined
  /** The one path: normalised, beginning with `/`. */
  readonly path: string
  /** As it was sent, with its `?`; '' if there is none. */
  readonly query: string
  /** Name, value, name, value …: names lower-case, in order of arrival, hop-by-hop and reserved ones removed. */
  readonly headers: readonly string[]
  /** Whether trailers of the answer are of use to the caller; over HTTP/2 alone. */
  readonly acceptsTrailers?: boolean
  /** A call of gRPC over HTTP/2, by its type. */
  readonly isGrpc?: boolean
}

/** The first value of a header, or undefined. `name` must be lower-case. */
export const headerOf = (head: Pick<RequestHead, 'headers'>, name: string): string | undefined => {
  const { headers } = head
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) return headers[i + 1]
  return undefined
}
