import type { Argument, BodySteps } from './body.ts'
import { jsonSteps } from './json.ts'
import { urlencodedBody } from './urlencoded.ts'
import { xmlSteps } from './xml.ts'

/** Text is looked at in pieces of this many bytes; so many of them the next piece has too, so that nothing hides in a cut. */
const pieceBytes = 16_384
const overlapBytes = 1024

const piecesOf = (text: string): readonly string[] => {
  if (text.length <= pieceBytes) return [text]
  const step = pieceBytes - overlapBytes
  return Array.from({ length: Math.ceil((text.length - overlapBytes) / step) }, (_, i) =>
    text.slice(i * step, i * step + pieceBytes),
  )
}

const firstOf = /^(?:\xef\xbb\xbf)?[ \t\r\n]*([{["<])/

/**
 * A body of a type that no processor reads, or of none: a service may read it all the same, as what it takes it for.
 * So it is read as JSON or XML if it is that, and as the pairs of a form if it looks like one; and all of it is text,
 * arguments named `body`. One with a NUL is binary and not looked at. Never an error, as nothing was claimed.
 */
export const guessSteps: BodySteps = function* (body, limits) {
  if (body === '' || body.includes('\0')) return { args: [] }
  const texts = piecesOf(body).map((piece): Argument => ['body', piece])
  const room = Math.max(0, limits.maxArguments - texts.length)
  const within = { ...limits, maxArguments: room }
  const first = firstOf.exec(body)?.[1]
  if (first === '<') {
    const { error, xml } = yield* xmlSteps(body, limits)
    if (xml && error === undefined)
      return { args: texts, xml: { ...xml, texts: xml.texts.flatMap(piecesOf) } }
  } else if (first !== undefined) {
    const { error, args } = yield* jsonSteps(body.replace(/^\xef\xbb\xbf/, ''), within)
    if (error === undefined) return { args: [...args, ...texts] }
  }
  const pairs = body.includes('=') ? urlencodedBody(body, within).args : []
  return { args: [...pairs, ...texts].slice(0, limits.maxArguments) }
}
