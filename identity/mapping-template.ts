import {
  isSpiffeSegment,
  parseSpiffeId,
  spiffePathOf,
  trustDomainOf,
  type SpiffeId,
} from '#contract/spiffe-id'
import { claimPath, type ClaimPath } from './claim-path.ts'
import type { JsonObject } from './json-strict.ts'
import { bad, good, type Outcome } from './outcome.ts'

/** Fills a template with the claims of a caller. */
export type Template = (claims: JsonObject) => Outcome<SpiffeId>

/** Literal text, or a claim. */
type Piece = { readonly text: string } | { readonly name: string; readonly claim: ClaimPath }

const placeholders = /\{[^{}]+\}/g

/** Long enough for every name that people give, and no way to make 2048 bytes of one claim. */
const maxValueChars = 255

/**
 * Compiles `spiffe://td/user/{sub}`. A segment has one `{claim}` at most, with text around it if you like: of two in one
 * segment, different pairs of values would give the same ID.
 *
 * @returns A fault if no value could make it a SPIFFE ID with a path in `trustDomain`.
 */
export const compileTemplate = (template: string, trustDomain: string): Outcome<Template> => {
  const example = parseSpiffeId(template.replace(placeholders, 'x'))
  if (!example.ok) return bad(`${template} is no SPIFFE ID, nor could it become one`)
  const prefix = `spiffe://${trustDomain}/`
  if (!template.startsWith(prefix) || trustDomainOf(example.value) !== trustDomain)
    return bad(`${template} is not in the trust domain ${trustDomain}`)
  if (spiffePathOf(example.value) === '') return bad(`${template} has no path`)
  // A claim may have a `/` in its name, so names are taken out first.
  if (/\{[^/]*\{/.test(template.replace(placeholders, '{')))
    return bad(`${template} has two claims in one segment`)
  const pieces = piecesOf(template)
  return good((claims) => fill(pieces, claims))
}

const piecesOf = (template: string): readonly Piece[] =>
  template
    .split(/(\{[^{}]+\})/)
    .filter((text) => text !== '')
    .map((text) => {
      if (!text.startsWith('{')) return { text }
      const name = text.slice(1, -1)
      return { name, claim: claimPath(name) }
    })

const fill = (pieces: readonly Piece[], claims: JsonObject): Outcome<SpiffeId> => {
  let id = ''
  for (const piece of pieces) {
    if ('text' in piece) {
      id += piece.text
      continue
    }
    const value = piece.claim(claims)
    if (typeof value !== 'string') return bad(`the claim ${piece.name} is not a string`)
    // Each by itself, before anything is put together: a `/` or a `..` must not make it elsewhere.
    if (value.length > maxValueChars || !isSpiffeSegment(value))
      return bad(`the claim ${piece.name} is not fit to be a path segment`)
    id += value
  }
  const spiffeId = parseSpiffeId(id)
  return spiffeId.ok ? good(spiffeId.value) : bad('the result is not a SPIFFE ID')
}
