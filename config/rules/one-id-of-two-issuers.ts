import { tick, type Finding } from '../faults.ts'
import { readablePath } from '../pointer.ts'
import { maxPairs, type Rule } from './rule.ts'

/** Who may give an ID: an identity rule of an issuer, or a legacy caller. */
type Source = {
  readonly what: string
  /** '' for legacy callers, which are told apart by others. */
  readonly issuer: string
  readonly pointer: string
  readonly segments: readonly Segment[]
  readonly hasClaim: boolean
}

/** Text, or text around a claim. */
type Segment = { readonly text: string } | { readonly before: string; readonly after: string }

/**
 * Warns of templates by which callers of two issuers can get one SPIFFE ID: a caller who can choose the claim at the one is
 * whoever it likes of the other. An ID that both spell out is one on purpose.
 */
export const oneIdOfTwoIssuers: Rule = ({ identities, legacyCallers }) => {
  const sources = [
    ...legacyCallers.map(({ name, pointer, value }) =>
      sourceOf(`legacy caller ${tick(name)}`, '', `${pointer}/spiffeId`, value.spiffeId),
    ),
    ...identities.map(({ name, pointer, value }) =>
      sourceOf(
        `identity rule ${tick(name)} of issuer ${tick(value.issuer)}`,
        value.issuer,
        `${pointer}/spiffeId`,
        value.spiffeId,
      ),
    ),
  ]
  const found: Finding[] = []
  for (const alike of Map.groupBy(sources, ({ segments }) => segments.length).values())
    for (const [i, later] of alike.entries())
      for (const earlier of alike.slice(0, i)) {
        if (earlier.issuer === later.issuer || !(earlier.hasClaim || later.hasClaim)) continue
        if (!later.segments.every((one, at) => canBeOne(one, earlier.segments[at]))) continue
        found.push({
          severity: 'warning',
          pointer: later.pointer,
          at: 'value',
          message: `${later.what} can give the SPIFFE ID that ${earlier.what} gives (${readablePath(earlier.pointer)}): a caller of the one is then taken for one of the other`,
          remedy: 'begin the path of each issuer with a segment of its own',
        })
        if (found.length >= maxPairs) return found
      }
  return found
}

const sourceOf = (what: string, issuer: string, pointer: string, id: string): Source => {
  // A claim may have a `/` in its name.
  const segments = id
    .replaceAll(/\{[^{}]+\}/g, '{}')
    .split('/')
    .slice(3)
    .map(segmentOf)
  return { what, issuer, pointer, segments, hasClaim: id.includes('{') }
}

const segmentOf = (text: string): Segment => {
  const at = text.indexOf('{}')
  return at < 0 ? { text } : { before: text.slice(0, at), after: text.slice(at + 2) }
}

const canBeOne = (a: Segment, b: Segment | undefined): boolean => {
  if (b === undefined) return false
  if ('text' in a) return 'text' in b ? a.text === b.text : fits(a.text, b)
  if ('text' in b) return fits(b.text, a)
  const begins = a.before.startsWith(b.before) || b.before.startsWith(a.before)
  return begins && (a.after.endsWith(b.after) || b.after.endsWith(a.after))
}

/** A claim is one character at least. */
const fits = (text: string, { before, after }: { before: string; after: string }): boolean =>
  text.length > before.length + after.length && text.startsWith(before) && text.endsWith(after)
