import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { answerScan, needlesOf } from '#gateway/egress/credentials/scan'

const value = 'sk_live_51Hx/"+ü~x'.normalize()
const wide = 65_536

/** What gets through of a body that comes in these parts; undefined if it was stopped. */
const through = (parts: readonly string[], values = [value], maxBytes = wide) => {
  const scan = answerScan(needlesOf(values), maxBytes)
  let passed = ''
  for (const part of parts) {
    const on = scan.push(Buffer.from(part, 'latin1'))
    if (!on) return { isStopped: true, passed }
    passed += on.toString('latin1')
  }
  return { isStopped: false, passed: passed + scan.rest().toString('latin1') }
}
const cutAt = (text: string, cuts: readonly number[]) => {
  const edges = [
    0,
    ...cuts.map((cut) => cut % (text.length + 1)).sort((a, b) => a - b),
    text.length,
  ]
  return edges.slice(1).map((edge, i) => text.slice(edges[i], edge))
}
const cuts = fc.array(fc.nat(200), { maxLength: 8 })

suite('a credential in an answer', () => {
  for (const [form, text, lead = ''] of [
    ['as it is', value],
    ['escaped for a URL', encodeURIComponent(value)],
    [
      'escaped for a URL with small digits',
      encodeURIComponent(value).replace(/%../g, (escape) => escape.toLowerCase()),
    ],
    ['in a form', new URLSearchParams({ a: value }).toString(), 'a='],
    ['escaped for JSON', JSON.stringify({ value }), '{"value":"'],
    ['escaped for JSON by PHP', JSON.stringify({ value }).replaceAll('/', '\\/'), '{"value":"'],
    [
      'escaped for JSON by .NET',
      `"${value.replaceAll('"', '\\u0022').replaceAll('+', '\\u002B')}"`,
      '"',
    ],
    ['escaped for HTML', value.replaceAll('"', '&quot;')],
    ['escaped for HTML, slashes too', value.replaceAll('"', '&quot;').replaceAll('/', '&#x2F;')],
    ['in hexadecimal', Buffer.from(value, 'latin1').toString('hex')],
    ['in UTF-16', `\xff\xfe${Buffer.from(value, 'utf16le').toString('latin1')}`, '\xff\xfe'],
    [
      'in UTF-16, the other way round',
      Buffer.from(value, 'utf16le').swap16().toString('latin1'),
      '\0',
    ],
    ['in base64', Buffer.from(value, 'latin1').toString('base64')],
    ['in base64 for URLs', Buffer.from(value, 'latin1').toString('base64url')],
    [
      'in base64 with a user before it',
      Buffer.from(`me:${value}`, 'latin1').toString('base64'),
      'bWU6',
    ],
    [
      'in base64 with two letters before it',
      Buffer.from(`a:${value}`, 'latin1').toString('base64'),
      'YTp',
    ],
    [
      'in base64 with one letter before it',
      Buffer.from(`:${value}`, 'latin1').toString('base64'),
      'On',
    ],
    [
      'in base64 with more behind it',
      Buffer.from(`${value} and more`, 'latin1').toString('base64'),
    ],
  ] as const)
    test(`${form} is stopped however it is cut, and nothing of it gets through`, () => {
      let runs = 0
      fc.assert(
        fc.property(
          fc.string({ maxLength: 60 }),
          fc.string({ maxLength: 60 }),
          cuts,
          (a, b, at) => {
            runs += 1
            const [before, after] = [a, b].map((noise) => Buffer.from(noise).toString('latin1'))
            const { isStopped, passed } = through(cutAt(`${before}${text}${after}`, at))
            assert.ok(isStopped)
            assert.ok(`${before}${lead}`.startsWith(passed), passed)
          },
        ),
      )
      assert.ok(runs >= 100)
    })
  test('that only begins like it gets through whole, however it is cut', () => {
    fc.assert(
      fc.property(
        fc.nat(value.length - 1),
        fc.string({ maxLength: 9 }),
        cuts,
        (length, more, at) => {
          const text = `${value.slice(0, length)}!${Buffer.from(more).toString('latin1')}`.repeat(3)
          const { isStopped, passed } = through(cutAt(text, at))
          assert.equal(isStopped, false)
          assert.equal(passed, text)
        },
      ),
    )
  })
  test('behind the bytes that are looked at is not found, and these go on at once', () => {
    const scan = answerScan(needlesOf([value]), 4)
    assert.equal(scan.push(Buffer.from('sk_l'))?.toString(), 'sk_l')
    assert.equal(scan.push(Buffer.from(value, 'latin1'))?.toString('latin1'), value)
    assert.equal(through([value], [value], 0).isStopped, false)
  })
  test('in a header is found', () => {
    const scan = answerScan(needlesOf([value]), 0)
    assert.equal(scan.isInHead(['Location', `/?next=${encodeURIComponent(value)}`]), true)
    assert.equal(scan.isInHead([`X-${value}`, '']), true)
    assert.equal(scan.isInHead(['Location', '/']), false)
  })
})
