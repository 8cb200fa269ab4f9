import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
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

const readings: readonly (readonly [
  kind: string,
  count: number,
  read: (input: string) => string,
])[] = [
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

suite('XSS', () => {
  for (const text of [
    '<script>alert(1);</script>',
    "' ><script>alert(1);</script>",
    '</><script>alert(1)</script>',
    '</p ><script>alert(1)</script>',
    "x' onerror=alert(1);>",
    'x onerror=alert(1)',
    '<a href="  javascript:alert(1);" >',
    '<a href=&#x6a;ava&#115cript:alert(1)>',
    '<a href="java\nscript:x">',
    '<div style="color:red">',
    '<!DOCTYPE html>',
    '<svganimate>',
    '<scr\0ipt>',
    '<?im\0port namespace="t">',
    '<!--[if IE]>foo<![endif]-->',
    '<!--`foo`-->',
    // As the original in C has it, where libinjection-go looks for less: a prefix, and any listed attribute.
    '<html xmlns:x="y">',
    '<a xlink:href="y">',
    '<set attributename="href" to="x">',
  ])
    test(`${JSON.stringify(text)} is it`, () => assert.equal(detectXss(text), true))

  for (const text of [
    '',
    'a < b and c > d',
    '<p>Hello <b>world</b></p>',
    'myvar=onfoobar==',
    'onY29va2llcw==',
    '<!--xml-->',
    '<a href="https://example.com/database">',
    'href=&#X',
    '<div attributename="class">',
    'name="style" value="1"',
  ])
    test(`${JSON.stringify(text)} is not`, () => assert.equal(detectXss(text), false))

  test('<% … %> ends at the first %>', () => {
    assert.equal(printedTokens('<%a%b%>c'), 'TAG_COMMENT,3,a%b\nDATA_TEXT,1,c')
    assert.equal(
      printedTokens('<%%a%><p>'),
      'TAG_COMMENT,2,%a\nTAG_NAME_OPEN,1,p\nTAG_NAME_CLOSE,1,>',
    )
  })

  test('no text makes it throw, and a longer one takes no more time a byte', () => {
    const pieces = ['<', '>', '/', '=', "'", '"', '`', '<!--', '-', '-->', '<![CDATA[', ']]', '<%']
    const more = ['%', '<?', '</', '\0', ' ', 'a', 'href=', '&#0', '&#x', '<svx ', '-\0', 'java\n']
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces, ...more)), (parts) => {
        detectXss(parts.join(''))
      }),
      { numRuns: 2000 },
    )
    for (const piece of [...pieces, ...more])
      for (const before of ['<a =', '<a href="', "'", '<!--'])
        for (const text of [before + piece.repeat(30_000 / piece.length)]) {
          const began = performance.now()
          detectXss(text)
          assert.ok(performance.now() - began < 1000, `${before}${piece}`)
        }
  })
})
