import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { fold } from '#plugins/waf/injection/sqli/fold'
import type { Token } from '#plugins/waf/injection/sqli/token'
import { scanner } from '#plugins/waf/injection/sqli/token'
import { nextToken } from '#plugins/waf/injection/sqli/tokenize'
import { detectSqli } from '#plugins/waf/injection/sqli'
import { casesOf } from './cases.ts'

const printed = ({ kind, value, open, close, sigils }: Token): string => {
  const quoted = kind === 's' || kind === 'v' ? `${open}${value}${close}` : value
  return `${kind} ${'@'.repeat(sigils)}${quoted}`.replace(/[\r\n]+$/, '')
}

const allTokens = (text: string, mysql: boolean): readonly Token[] => {
  const s = scanner(text, '', mysql)
  const tokens: Token[] = []
  for (let next = nextToken(s); next !== undefined; next = nextToken(s)) tokens.push(next)
  return tokens
}

const readings: readonly (readonly [kind: string, count: number, read: (input: string) => string])[] = [
  ['tokens', 249, (input) => allTokens(input, false).map(printed).join('\n')],
  ['folding', 118, (input) => fold(scanner(input, '', false)).map(printed).join('\n')],
  ['sqli', 54, (input) => detectSqli(input).fingerprint],
]

for (const [kind, count, read] of readings)
  suite(`libinjection's cases of ${kind}`, () => {
    const cases = casesOf(kind)
    assert.equal(cases.length, count)
    for (const { name, input, expected } of cases)
      test(name, () => assert.equal(read(input).trim(), expected))
  })
