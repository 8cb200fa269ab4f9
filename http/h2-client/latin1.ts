/** Octets as a string, one character each. */
export const latin1 = (bytes: Buffer, start: number, end: number): string =>
  bytes.toString('latin1', start, end)
