import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { detectXss } from '#plugins/waf/injection/xss'
import type { HtmlTokenKind } from '#plugins/waf/injection/xss/html-reader'
import { htmlReader } from '#plugins/waf/injection/xss/html-reader'
import { nextHtmlToken } from '#plugins/waf/injection/xss/html-tokenize'
import { casesOf } from './cases.ts'

const names: Readonly<Record<HtmlTokenKind, string>> = {
  text: 'DATA_TEXT',
  'tag-open': 'TAG_NAME_OPEN',
  'tag-name-close': 'TAG_NAME_CLOSE',
  'tag-self-close': 'TAG_NAME_SELFCLOSE',
  'tag-close': 'TAG_CLOSE',
  'attribute-name': 'ATTR_NAME',
  'attribute-value': 'ATTR_VALUE',
  comment: 'TAG_COMMENT',
  doctype: 'DOCTYPE',
}

const printedTokens = (text: string): string => {
  const r = htmlReader(text, 'data')
  const lines: string[] = []
  while (nextHtmlToken(r))
    lines.push(`${names[r.kind]},${r.end - r.start},${text.slice(r.start, r.end)}`)
  return lines.join('\n')
}

const readings: readonly (readonly [kind: string, count: number, read: (input: string) => string])[] = [
  ['html5', 68, printedTokens],
  ['xss', 7, (input) => (detectXss(input) ? '1' : '0')],
]

for (const [kind, count, read] of readings)
  suite(`libinjection's cases of ${kind}`, () => {
    const cases = casesOf(kind)
    assert.equal(cases.length, count)
    for (const { name, input, expected } of cases)
      test(name, () => assert.equal(read(input).trim(), expected))
  })
