/**
 * A text that is used again and again, in one piece. V8 keeps what was put together as a tree of its pieces, and whoever
 * writes it walks through all of them every time.
 *
 * @param encoding `latin1` for what has no other characters.
 */
export const inOnePiece = (text: string, encoding: 'latin1' | 'utf8'): string =>
  Buffer.from(text, encoding).toString(encoding)
