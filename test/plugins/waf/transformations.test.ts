import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { classesIn } from '#plugins/waf/engine/byte-classes'
import { findTransformation, transformations } from '#plugins/waf/transformations/table'

/** What goes in and what comes out; the cases are those of ModSecurity's own behaviour, written for this project. */
const cases: Record<string, readonly (readonly [input: string, output: string])[]> = {
  base64Decode: [
    ['VGVzdA==', 'Test'],
    ['VGVzdA', 'Test'],
    ['VGV zdA', 'Te'],
    ['', ''],
  ],
  base64DecodeExt: [['VG Vz.dA==', 'Test']],
  base64Encode: [['Test\0', 'VGVzdAA=']],
  cmdLine: [
    ['C^at  /e"t"c', 'cat/etc'],
    ["w'h'o,;am\\i", 'who ami'],
    ['a ( b', 'a( b'],
  ],
  compressWhitespace: [['a \t\n b\xa0c', 'a b c']],
  cssDecode: [
    ['\\6a\\61 va', 'java'],
    ['a\\\nb', 'ab'],
    ['\\ff01', '!'],
    ['\\zx\\', 'zx'],
  ],
  escapeSeqDecode: [
    ['\\n\\x41\\101\\q', '\nAAq'],
    ['a\\', 'a\\'],
  ],
  hexDecode: [
    ['4142', 'AB'],
    ['414', 'A'],
  ],
  hexEncode: [['A\xff', '41ff']],
  htmlEntityDecode: [
    ['&lt;&#x41;&#66;&amp;&nbsp;&unknown;&quot', '<AB&\xa0&unknown;"'],
    ['&#99999999999999999999;', '\xff'],
  ],
  jsDecode: [
    ['\\u0041\\x42\\103\\n\\z', 'ABC\nz'],
    ['\\uff1c', '<'],
    ['\\400', ' 0'],
  ],
  length: [['abc', '3']],
  lowercase: [['ABC\xc9', 'abc\xc9']],
  normalizePath: [
    ['/a/./b//../c/', '/a/c/'],
    ['../../a', '../../a'],
    ['/../a', '/a'],
    ['a/..', ''],
  ],
  normalizePathWin: [['\\a\\..\\b', '/b']],
  parityEven7bit: [['a', '\xe1']],
  parityOdd7bit: [['c', '\xe3']],
  parityZero7bit: [['\xe1', 'a']],
  removeComments: [
    ['a/*b*/c', 'ac'],
    ['a--b', 'a '],
    ['a<!-- b -->c', 'ac'],
    ['a#b', 'a '],
  ],
  removeCommentsChar: [['a/*b*/--c#', 'abc']],
  removeNulls: [['a\0b', 'ab']],
  removeWhitespace: [['a \t\xa0b', 'ab']],
  replaceComments: [
    ['a/*b*/c', 'a c'],
    ['a/*b', 'a '],
    ['a*/b', 'a*/b'],
  ],
  replaceNulls: [['a\0b', 'a b']],
  sqlHexDecode: [['x 0x414243 0xz', 'x ABC 0xz']],
  trim: [
    [' a b ', 'a b'],
    ['  ', ''],
  ],
  trimLeft: [[' a ', 'a ']],
  trimRight: [[' a ', ' a']],
  uppercase: [['abc\xe9', 'ABC\xe9']],
  urlDecode: [['a%20b+c%zz%4', 'a b c%zz%4']],
  urlDecodeUni: [
    ['%u0041%uff1c%uff0f%2541', 'A</%41'],
    ['%u00zz', '%u00zz'],
  ],
  urlEncode: [['a b*&', 'a+b*%26']],
  utf8toUnicode: [
    ['\xc3\xa9\xe2\x82\xac a\xff', '%u00e9%u20ac a\xff'],
    ['\xc0\xae', '\xc0\xae'],
  ],
}

suite('Transformations', () => {
  for (const [name, pairs] of Object.entries(cases))
    test(`t:${name} does what it says`, () => {
      const found = findTransformation(name)
      assert.ok(found)
      for (const [input, output] of pairs)
        assert.equal(transformations[found].apply(input), output, JSON.stringify(input))
    })
  test('names ignore case, and are not those of methods of objects', () => {
    assert.equal(findTransformation('URLDECODEUNI'), 'urlDecodeUni')
    assert.equal(findTransformation('constructor'), undefined)
  })

  const bytes = fc.string({
    unit: fc.oneof(
      fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
      fc.constantFrom(
        '%',
        '%u',
        '\\',
        '\\u',
        '\\x',
        '&#',
        '&lt',
        '/*',
        '*/',
        '../',
        '--',
        '<!--',
        '0x41',
        '\xe2\x82\xac',
        '+',
      ),
    ),
  })
  test('any bytes give bytes, and those that a transformation does not act on stay as they are', () => {
    let unchanged = 0
    for (const [name, { apply, actsOn }] of Object.entries(transformations))
      fc.assert(
        fc.property(bytes, (text) => {
          const out = apply(text)
          for (let i = 0; i < out.length; i++) assert.ok(out.charCodeAt(i) <= 255, name)
          if (actsOn !== -1 && (classesIn(text) & actsOn) === 0) {
            assert.equal(out, text, name)
            unchanged++
          }
        }),
        { numRuns: 300 },
      )
    assert.ok(unchanged > 500)
  })
  test('time is linear in the length', () => {
    for (const [name, { apply }] of Object.entries(transformations))
      for (const unit of [
        '\\',
        '%',
        '/*',
        '../',
        ' ',
        '&#',
        '\\u',
        '--',
        '0x4',
        '\xe2\x82',
        ' /',
        'A\\',
      ]) {
        const text = unit.repeat(200_000 / unit.length)
        let least = Infinity
        for (let i = 0; i < 3 && least > 100; i++) {
          const start = process.threadCpuUsage()
          apply(text)
          const { user, system } = process.threadCpuUsage(start)
          least = Math.min(least, (user + system) / 1000)
        }
        assert.ok(least < 200, `t:${name} takes ${least} ms for 200 kB of ${JSON.stringify(unit)}`)
      }
  })
})
