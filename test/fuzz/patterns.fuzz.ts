import assert from 'node:assert/strict'
import { compilePattern, type Pattern } from '#plugins/waf/regex/pattern'
import { parsePattern } from '#plugins/waf/regex/parse'
import { printPattern } from '#plugins/waf/regex/print'
import { PatternError } from '#plugins/waf/regex/syntax'

const maxPatternBytes = 60
/** V8 tries everything: longer ones could keep it busy for ever. */
const maxSubjectBytes = 12

/** A pattern, a NUL, a subject: it is a fault, or our automaton says what V8 says, and finds groups where it matches. */
export const fuzz = (data: Buffer): void => {
  const text = data.toString('latin1')
  const end = text.indexOf('\0')
  if (end < 0 || end > maxPatternBytes) return
  const source = text.slice(0, end)
  const subject = text.slice(end + 1, end + 1 + maxSubjectBytes)
  // Each counted repeat multiplies what V8 has to try.
  if ((source.match(/\{/g) ?? []).length > 1) return
  const ours = compiled(source)
  if (!ours) return
  const padded = `${subject}${' '.repeat(300)}`
  assert.equal(ours.capture(padded) !== undefined, ours.test(padded))
  const matches = ours.test(subject)
  assert.equal(ours.capture(subject) !== undefined, matches)
  if (!ours.linear) return
  const { regex } = printPattern(parsePattern(source))
  assert.equal(matches, regex.test(subject), `${source} on ${JSON.stringify(subject)}`)
}

const compiled = (source: string): Pattern | undefined => {
  try {
    return compilePattern(source)
  } catch (cause) {
    if (!(cause instanceof PatternError)) throw cause
    return undefined
  }
}

export const seeds: readonly string[] = [
  '(?i)^a(b|c)*[^d-f\\s]+?\\b$\0abC x',
  '(?:\\x41|\\d{1,3}|[[:alpha:]])\\W\0A1-',
  'a(?=b)|(?<!c)d|(e)\\1|(?>f)g++\0ab',
  '(?s-i:.)\\Q*\\E\\z|(?P<n>h)\0*',
]
