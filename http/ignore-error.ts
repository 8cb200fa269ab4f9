import type { Readable } from 'node:stream'

/**
 * Listens for `error` on a socket whose `close` tells whoever uses it all they want to know; without a listener the process
 * would end. It is one function for all: one made where a connection is made would keep all that is known there, for as long
 * as the connection lives.
 */
export const ignoreError = (): void => {}

/**
 * Takes a listener for `error` off a body that is done with, and leaves one in its place that keeps nothing. V8 may come to
 * make the table of a stream's listeners among its old objects from the start: what they know then outlives each collection
 * of young ones, whether or not the stream is still known to anyone.
 */
export const ignoreFurtherErrors = (source: Readable, listener: (cause: Error) => void): void => {
  source.on('error', ignoreError).off('error', listener)
}
