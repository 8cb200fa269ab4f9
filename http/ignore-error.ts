/**
 * Listens for `error` on a socket whose `close` tells whoever uses it all they want to know; without a listener the process
 * would end. It is one function for all: one made where a connection is made would keep all that is known there, for as long
 * as the connection lives.
 */
export const ignoreError = (): void => {}
