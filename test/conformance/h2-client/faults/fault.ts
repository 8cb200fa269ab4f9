/** Error codes that our client is to send. */
export const code = {
  protocol: 1,
  flowControl: 3,
  streamClosed: 5,
  frameSize: 6,
  cancel: 8,
  compression: 9,
  calm: 11,
} as const

/**
 * What a peer sends while two requests are in flight, on streams `a` and `b`. A `connection` fault costs its connection,
 * with the code that is named; a `stream` fault costs only the request on `a`, and `b` is answered; `none` costs nothing.
 */
export type Fault = readonly [
  section: string,
  name: string,
  send: (a: number, b: number) => string,
  costs: 'connection' | 'stream' | 'none',
  code?: number,
]
