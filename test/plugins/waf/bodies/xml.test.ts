import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { defaultBodyLimits } from '#plugins/waf/bodies/body'
import { xmlBody } from '#plugins/waf/bodies/xml'
import { anyText, bytesOf, limitsWith, millisecondsOf, overgrown } from './bytes.ts'

const read = (body: string) => xmlBody(body, defaultBodyLimits)
const utf16 = (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le').toString('latin1')

suite('XML bodies', () => {
  for (const [body, text, attributes] of [
    ['<a/>', '', []],
    ['<a>x<b>y</b>z</a>', 'xyz', []],
    [
      '<?xml version="1.0" encoding="UTF-8" standalone=\'yes\'?>\n<!-- c --><?p q?>\n<a>x</a>\n<!-- d -->',
      'x',
      [],
    ],
    ["<?xml version='1.1'?><a >x</a >", 'x', []],
    ['<!DOCTYPE a><a>x</a>', 'x', []],
    ['<a b="1" c=\'2\'><d b = "3"/></a>', '', ['1', '2', '3']],
    ['<a xmlns="u" xmlns:p="v" p:b="1"/>', '', ['1']],
    ['<a b="&lt;&#65;&#x42;&quot;&apos;&amp;lt;">&gt;&#xe9;</a>', '>\xc3\xa9', ['<AB"\'&lt;']],
    ['<a b="1\n2\t3\r\n4&#10;5">x\r\ny\rz</a>', 'x\ny\nz', ['1 2 3 4\n5']],
    ['<a><![CDATA[<b>&lt;]]]]><![CDATA[>]]></a>', '<b>&lt;]]>', []],
    ['<a>x<!-- y -->z<?p w?></a>', 'xz', []],
    ['<é è="1">à</é>', bytesOf('à'), ['1']],
    ['\ufeff<a>x</a>', 'x', []],
  ] as const)
    test(`${body} is well-formed`, () =>
      assert.deepEqual(read(bytesOf(body)), { args: [], xml: { texts: [text], attributes } }))

  test('an empty body is no error', () => assert.deepEqual(read(''), { args: [] }))

  for (const body of [
    ' ',
    'x',
    '<a>',
    '<a></b>',
    '<a></a',
    '</a>',
    '<a/><b/>',
    '<a/>x',
    'x<a/>',
    ' <?xml version="1.0"?><a/>',
    '<?xml version="2.0"?><a/>',
    '<?xml encoding="utf-8"?><a/>',
    '<a><?xml version="1.0"?></a>',
    '<a><b></a></b>',
    '<1/>',
    '< a/>',
    '<a b/>',
    '<a b=1/>',
    '<a b="1/>',
    '<a b="1"c="2"/>',
    '<a b="1" b="2"/>',
    '<a b="<"/>',
    '<a b="&"/>',
    '<a>&</a>',
    '<a>&x;</a>',
    '<a>& lt;</a>',
    '<a>&#0;</a>',
    '<a>&#xd800;</a>',
    '<a>&#x110000;</a>',
    '<a>&#99999999999;</a>',
    '<a>]]></a>',
    '<a><![CDATA[</a>',
    '<![CDATA[x]]><a/>',
    '<a><!-- - -- --></a>',
    '<a><!-- </a>',
    '<a><? x?></a>',
    '<a><?p</a>',
    '<a><!DOCTYPE b></a>',
    '<a/><!DOCTYPE a>',
    '<!DOCTYPE a><!DOCTYPE a><a/>',
    '<!DOCTYPE><a/>',
    '<a>\x01</a>',
    '<a>\0</a>',
    '<a>\xff</a>',
    '<a>\xef\xbf\xbf</a>',
    '<?xml version="1.0" encoding="utf-7"?><a>x</a>',
    '<?xml version="1.0" encoding="utf-16"?><a>x</a>',
    '<?xml version="1.0" encoding="us-ascii"?><a>\xe9</a>',
  ])
    test(`${JSON.stringify(body)} is an error`, () => {
      const parsed = read(body)
      assert.match(parsed.error ?? '', /^XML parsing error: /)
      assert.equal(parsed.overLimit, undefined)
    })

  for (const body of [
    '<!DOCTYPE a [<!ENTITY x "y">]><a>attack &x;</a>',
    '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>attack &x;</a>',
    '<!DOCTYPE a [<!-- " ]> --><!ENTITY % x ">]">%x;] ><a>attack &x;</a>',
    '<!DOCTYPE a SYSTEM "http://example.com/[>"><a>attack &x;</a>',
    "<!DOCTYPE a PUBLIC 'p' 's' [<!ATTLIST a b CDATA 'c'>]><a>attack &x;</a>",
  ])
    test(`${body} is refused, but what is in it is seen, unexpanded`, () => {
      const parsed = read(body)
      assert.match(parsed.error ?? '', /a document type with declarations or an external part/)
      assert.deepEqual(parsed.xml, { texts: ['attack &x;'], attributes: [] })
    })

  test('text is seen as an application would see it, whatever it is written in', () => {
    for (const body of [
      bytesOf('<a b="é">é</a>'),
      '<?xml version="1.0" encoding="iso-8859-1"?><a b="\xe9">\xe9</a>',
      "<?xml version='1.0' encoding='windows-1252' ?><a b='\xe9'>\xe9</a>",
      utf16('<a b="é">é</a>'),
      utf16('<?xml version="1.0" encoding="utf-16"?><a b="é">é</a>'),
      utf16('<?xml version="1.0"?><a b="é">é</a>').slice(2),
    ]) {
      const parsed = read(body)
      assert.equal(parsed.error, undefined)
      assert.deepEqual(parsed.xml, { texts: [bytesOf('é')], attributes: [bytesOf('é')] })
    }
    assert.match(read(`${utf16('<a/>')}\xd8`).error ?? '', /encoding/)
  })

  test('what was read before an error is given back', () => {
    assert.deepEqual(read('<a b="1">x<c>y &bad z').xml, { texts: ['xy &bad z'], attributes: ['1'] })
    assert.deepEqual(read('<a b="<script">').xml, { texts: [''], attributes: ['<script'] })
  })

  test('depth and attributes have limits', () => {
    const limits = limitsWith({ maxDepth: 2, maxXmlAttributes: 2 })
    assert.equal(xmlBody('<a><b><c/></b></a>', limits).error, undefined)
    assert.equal(xmlBody('<a><b><c></c></b></a>', limits).overLimit, true)
    assert.equal(xmlBody('<a b="1"><c d="2"/></a>', limits).error, undefined)
    assert.equal(xmlBody('<a b="1"><c d="2" e="3"/></a>', limits).overLimit, true)
  })

  test('any text and attribute that is written well is read back', () => {
    const text = anyText.map((raw) => raw.replaceAll(/[^\t\n\x20-\ud7ff]/g, ''))
    const escaped = (raw: string) =>
      raw
        .replaceAll('&', '&amp;')
        .replaceAll('<', '&lt;')
        .replaceAll('>', '&gt;')
        .replaceAll('"', '&#34;')
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text)), (leaves) => {
        const body = leaves.map(
          ([value, content]) => `<b v="${escaped(value)}">${escaped(content)}</b>`,
        )
        assert.deepEqual(read(bytesOf(`<a>${body.join('')}</a>`)), {
          args: [],
          xml: {
            texts: [bytesOf(leaves.map(([, content]) => content).join(''))],
            attributes: leaves.map(([value]) => bytesOf(value.replaceAll(/[\t\n]/g, ' '))),
          },
        })
      }),
    )
  })

  test('any bytes are read, within the limits and in time linear in their number', () => {
    const pieces = [
      '<a>',
      '</a>',
      '<a',
      '/>',
      '>',
      ' ',
      'b',
      '=',
      '"',
      "'",
      '&lt;',
      '&',
      ';',
      '<!--',
      '-->',
      '--',
      '<![CDATA[',
      ']]>',
      '<?p',
      '?>',
      '<!DOCTYPE',
      '[',
      ']',
      'x',
      '\xc3\xa9',
      '\0',
    ]
    const limits = limitsWith({ maxDepth: 3, maxXmlAttributes: 2 })
    let accepted = 0
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 10 }), (soup) => {
        const parsed = xmlBody(`<a>${soup.join('')}</a>`, limits)
        assert.equal(overgrown(parsed, limits), undefined)
        if (parsed.error === undefined) accepted++
      }),
      { numRuns: 2000 },
    )
    assert.ok(accepted > 40, `only ${accepted} were well-formed`)
    const wide = limitsWith({ maxDepth: 1e7, maxXmlAttributes: 1e7 })
    for (const before of [
      '',
      '<a>',
      '<a ',
      '<a b="',
      '<a><!--',
      '<!DOCTYPE a [',
      '<?xml version="1.0"',
    ])
      for (const piece of [
        ' ',
        'x',
        '<',
        '<a>',
        '<a/>',
        '&lt;',
        '&',
        '&#x00',
        '-',
        ']]',
        '<!--',
        '<!---->',
        "'x'",
        ' a="1"',
        '<![CDATA[]]>',
        '?',
        '\r',
      ])
        assert.ok(
          millisecondsOf(() => xmlBody(before + piece.repeat(12_000), wide)) < 3000,
          JSON.stringify([before, piece]),
        )
  })
})
