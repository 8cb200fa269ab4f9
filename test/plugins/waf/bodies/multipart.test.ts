import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import type { MultipartFlags } from '#plugins/waf/bodies/body'
import {
  defaultBodyLimits,
  filesCombinedSize,
  multipartStrictError,
} from '#plugins/waf/bodies/body'
import { multipartBody, multipartSteps } from '#plugins/waf/bodies/multipart'
import { bytesOf, limitsWith, millisecondsOf, overgrown } from './bytes.ts'

const contentType = 'multipart/form-data; boundary=B'
const read = (body: string, type = contentType) => multipartBody(type)(body, defaultBodyLimits)

/** Lines with the ends that they should have. */
const lines = (...text: readonly string[]): string => text.join('\r\n')
const field = (name: string, value: string): string =>
  lines('--B', `Content-Disposition: form-data; name="${name}"`, '', value, '')

const calm: MultipartFlags = {
  boundaryQuoted: false,
  boundaryWhitespace: false,
  dataBefore: false,
  dataAfter: false,
  headerFolding: false,
  invalidHeaderFolding: false,
  lfLine: false,
  crlfLfLines: false,
  missingSemicolon: false,
  invalidQuoting: false,
  invalidPart: false,
  fileLimitExceeded: false,
  unmatchedBoundary: 0,
}
const good = `${field('a', '1')}--B--\r\n`

suite('multipart bodies', () => {
  test('fields are arguments, files are not, header lines are kept under the name of their part', () => {
    const parsed = read(
      lines(
        '--B',
        'Content-Disposition: form-data; name="a"',
        '',
        'one',
        'two',
        '--B',
        'Content-Disposition: form-data; name="f"; filename="x.txt"',
        'Content-Type: text/plain',
        '',
        'content\n',
        '--B',
        'content-disposition:form-data;name=a',
        '',
        '',
        '--B--',
        '',
      ),
    )
    assert.deepEqual(parsed.args, [
      ['a', 'one\r\ntwo'],
      ['a', ''],
    ])
    assert.deepEqual(parsed.files, [
      { field: 'f', filename: 'x.txt', sizeBytes: 8, content: 'content\n' },
    ])
    assert.equal(filesCombinedSize(parsed.files ?? []), 8)
    assert.deepEqual(parsed.partHeaders, [
      ['a', 'Content-Disposition: form-data; name="a"'],
      ['f', 'Content-Disposition: form-data; name="f"; filename="x.txt"'],
      ['f', 'Content-Type: text/plain'],
      ['a', 'content-disposition:form-data;name=a'],
    ])
    assert.deepEqual(parsed.multipart, calm)
    assert.equal(parsed.error, undefined)
    assert.equal(multipartStrictError(calm, false), false)
    assert.equal(multipartStrictError(calm, true), true)
  })

  for (const [what, body, flags, type] of [
    ['a preamble', `x\r\n${good}`, { dataBefore: true }],
    ['an empty line before', `\r\n${good}`, { dataBefore: true }],
    ['an epilogue', `${good}x`, { dataAfter: true }],
    ['no line end after the last boundary', good.slice(0, -2), {}],
    ['line feeds alone', good.replaceAll('\r', ''), { lfLine: true }],
    [
      'a line feed alone before a boundary',
      good.replace('1\r\n', '1\n'),
      { lfLine: true, crlfLfLines: true },
    ],
    [
      'a line feed alone after a header',
      good.replace('"a"\r', '"a"'),
      { lfLine: true, crlfLfLines: true },
    ],
    ['a line feed alone in data', field('a', '1\n2') + '--B--\r\n', {}],
    ['a folded header', good.replace('; name', ';\r\n name'), { headerFolding: true }],
    [
      'a header folded by more than blanks',
      good.replace('; name', ';\r\n\v name'),
      { headerFolding: true, invalidHeaderFolding: true },
    ],
    ['single quotes', good.replaceAll('"', "'"), { invalidQuoting: true }],
    ['a quote in an unquoted value', good.replace('"a"', "a'b"), { invalidQuoting: true }],
    ['a quoted boundary', good, { boundaryQuoted: true }, 'multipart/form-data; boundary="B"'],
    [
      'white space before the boundary',
      good.replaceAll('--B', '-- B'),
      { boundaryWhitespace: true },
      'multipart/form-data; boundary= B',
    ],
    [
      'white space before the equals sign',
      good,
      { boundaryWhitespace: true },
      'multipart/form-data; boundary =B',
    ],
    ['no semicolon', good, { missingSemicolon: true }, 'multipart/form-data boundary=B'],
    ['a parameter after the boundary', good, {}, 'multipart/form-data; boundary=B; charset=utf-8'],
    ['an upper case type', good, {}, 'Multipart/Form-Data;boundary=B'],
    [
      'a boundary where data should be',
      lines('--B', 'Content-Disposition: form-data; name="a"', '', '--B', '--B--', ''),
      { invalidPart: true },
    ],
    [
      'a line of two dashes',
      `${field('a', '-----PEM X-----\r\n')}--B--\r\n`,
      { unmatchedBoundary: 2 },
    ],
    [
      'our boundary within a line',
      `${field('a', 'x --B\r\ny')}--B--\r\n`,
      { unmatchedBoundary: 1 },
    ],
    [
      'our boundary within the first line of data, and dashes',
      `${field('a', '--A--B\r\n--C')}--B--\r\n`,
      { unmatchedBoundary: 1 },
    ],
  ] as const)
    test(`${what} is told`, () => {
      const parsed = read(body, type ?? contentType)
      assert.equal(parsed.error, undefined)
      assert.deepEqual(parsed.multipart, { ...calm, ...flags })
      assert.equal(parsed.args.length, 1)
      const isStrict = Object.keys(flags).some(
        (name) => name !== 'crlfLfLines' && name !== 'unmatchedBoundary',
      )
      assert.equal(multipartStrictError({ ...calm, ...flags }, false), isStrict)
    })

  for (const [reason, body] of [
    ['No boundaries found in payload.', 'x'],
    ['No boundaries found in payload.', '--B'],
    ['Final boundary missing.', field('a', '1')],
    ['Final boundary missing.', `${field('a', '1')}--B`],
    ['Final boundary missing.', `${field('a', '1')}--B-`],
    ['Invalid boundary.', `${field('a', '1')}--Bx\r\n`],
    ['Invalid boundary.', `${field('a', '1')}--B--x\r\n`],
    ['Invalid boundary.', `${field('a', '1')}--B \r\n`],
    ['Invalid boundary (whitespace).', `${field('a', '1')}-- B\r\n`],
    ['Part missing Content-Disposition header.', lines('--B', 'X: y', '', '1', '--B--')],
    ['Nul byte in part headers.', good.replace('"a"', '"a\0"')],
    ['Part header line over 4096 bytes long', good.replace('"a"', `"${'a'.repeat(5000)}"`)],
    ['Part header too long.', good.replace('"a"', `"a"${'\r\n x'.repeat(2100)}`)],
    ['Invalid part header (folding error).', lines('--B', ' X: y', '')],
    ['Invalid part header (colon missing).', lines('--B', 'X', '')],
    ['Invalid part header (header name missing).', lines('--B', ': x', '')],
    ['Invalid part header (contains invalid character).', lines('--B', '\x0eX: y', '')],
    ['Invalid part header (contains invalid character).', lines('--B', 'X : y', '')],
    ['Invalid part header (contains invalid character).', lines('--B', 'X\xa0: y', '')],
    ['Duplicate part header.', lines('--B', 'X: 1', 'x: 2', '')],
    ['Content-Disposition header missing name field.', good.replace('; name="a"', '')],
    ['Invalid Content-Disposition header (filename).', good.replace('"a"', '"a"; filename ="b"')],
    ...(
      [
        [-1, 'attachment; name="a"'],
        [-1, 'Form-Data; name="a"'],
        [-2, 'form-datax; name="a"'],
        [-3, 'form-data; name="a"; '],
        [-4, 'form-data; name'],
        [-5, 'form-data; name '],
        [-13, 'form-data; name x'],
        [-6, 'form-data; name='],
        [-7, 'form-data; name="'],
        [-8, 'form-data; name="a\\'],
        [-10, 'form-data; name="a'],
        [-11, 'form-data; name="a"; x="y"'],
        [-11, `form-data; name="a"; filename*=utf-8''b`],
        [-12, 'form-data; name="a"x'],
        [-12, 'form-data; name=a b'],
        [-14, 'form-data; name="a"; name="b"'],
        [-15, 'form-data; name="a"; filename="b"; filename="c"'],
      ] as const
    ).map(
      ([code, value]) =>
        [
          `Invalid Content-Disposition header (${code}).`,
          good.replace('form-data; name="a"', () => value),
        ] as const,
    ),
  ] as const)
    test(`${JSON.stringify(body.slice(0, 90))} is refused: ${reason}`, () => {
      const parsed = read(body)
      assert.equal(parsed.error, `Multipart parsing error: Multipart: ${reason}`)
      assert.equal(parsed.overLimit, undefined)
    })

  for (const [reason, type] of [
    ['Invalid MIME type.', 'multipart/mixed; boundary=B'],
    ['Invalid MIME type.', ''],
    ['Boundary not found in C-T.', 'multipart/form-data'],
    ['Invalid boundary in C-T (case sensitivity).', 'multipart/form-data; BOUNDARY=B'],
    ['Multiple boundary parameters in C-T.', 'multipart/form-data; boundary=B; boundary=C'],
    ['Multiple boundary parameters in C-T.', 'multipart/form-data; xboundary=B; Boundary=C'],
    ['Invalid boundary in C-T (malformed).', 'multipart/form-data; charset=utf-8; boundary=B'],
    ['Invalid boundary in C-T (malformed).', 'multipart/form-data; boundary'],
    ['Invalid boundary in C-T (parameter name).', 'multipart/form-data; boundaryx=B'],
    ['Invalid boundary in C-T (quote).', 'multipart/form-data; boundary="B'],
    ['Invalid boundary in C-T (quote).', 'multipart/form-data; boundary=B"'],
    ['Invalid boundary in C-T (characters).', 'multipart/form-data; boundary=B@C'],
    ['Invalid boundary in C-T (characters).', 'multipart/form-data; boundary=B '],
    ['Invalid boundary in C-T (empty).', 'multipart/form-data; boundary='],
    ['Invalid boundary in C-T (length).', `multipart/form-data; boundary=${'B'.repeat(71)}`],
    ['Invalid boundary in C-T (length).', `multipart/form-data; boundary=${'B'.repeat(2000)}`],
  ] as const)
    test(`${JSON.stringify(type.slice(0, 60))} is refused: ${reason}`, () => {
      const parsed = read(good, type)
      assert.equal(parsed.error, `Multipart parsing error: Multipart: ${reason}`)
      assert.deepEqual(parsed.args, [])
    })

  test('quotes around the boundary in the body are refused if it was quoted in the header', () => {
    const body = `${field('a', '1')}--"B"\r\n`
    const type = 'multipart/form-data; boundary="B"'
    assert.match(read(body, type).error ?? '', /Invalid boundary \(quotes\)/)
    assert.match(read(body).error ?? '', /Final boundary missing/)
  })

  test('an empty body is no error', () => {
    assert.deepEqual(read('').multipart, calm)
    assert.equal(read('').error, undefined)
  })

  test('an empty filename makes a file, escapes are resolved, a bad header is kept for the rules', () => {
    const file = read(good.replace('"a"', String.raw`"a\"b\\c\d"; filename=""`))
    assert.deepEqual(file.args, [])
    assert.deepEqual(file.files, [
      { field: String.raw`a"b\c\d`, filename: '', sizeBytes: 1, content: '1' },
    ])
    const bad = read(lines('--B', '\x0eX: y', ''))
    assert.deepEqual(bad.partHeaders, [['', '\x0eX: y']])
    const unfinished = read(field('a', 'attack'))
    assert.deepEqual(unfinished.args, [['a', 'attack']])
  })

  test('parts, fields and files have limits', () => {
    const three = ['a', 'b', 'c'].map((name) => field(name, '1')).join('') + '--B--\r\n'
    const parse = multipartBody(contentType)
    assert.equal(parse(three, limitsWith({ maxParts: 3 })).error, undefined)
    assert.equal(parse(three, limitsWith({ maxParts: 2 })).overLimit, true)
    assert.equal(parse(three, limitsWith({ maxArguments: 3 })).error, undefined)
    assert.equal(parse(three, limitsWith({ maxArguments: 2 })).overLimit, true)
    const files = three.replaceAll('"\r', '"; filename="f"\r')
    assert.equal(parse(files, limitsWith({ maxFiles: 3 })).multipart?.fileLimitExceeded, false)
    assert.equal(parse(files, limitsWith({ maxFiles: 2 })).multipart?.fileLimitExceeded, true)
    const { noFilesBytes = 0 } = read(three)
    assert.ok(noFilesBytes > 100 && noFilesBytes < three.length)
    const file = good
      .replace('"a"', '"a"; filename="f"')
      .replace('\r\n1', `\r\n${'x'.repeat(5000)}`)
    assert.ok((read(file).noFilesBytes ?? 0) < 100)
  })

  test('lines that look like boundaries, and header lines, have limits', () => {
    const start = field('a', '').slice(0, -2)
    assert.equal(read(`${start}${'--\r\n'.repeat(40_000)}--B--`).error, undefined)
    assert.equal(read(`${start}${'--\r\n'.repeat(60_000)}--B--`).overLimit, true)
    const headers = Array.from({ length: 60 }, (_, index) => `X-${index}: y`)
    const body = good.replace('--B\r\n', `--B\r\n${headers.join('\r\n')}\r\n`)
    assert.equal(read(body).error, undefined)
    assert.equal(multipartBody(contentType)(body, limitsWith({ maxParts: 10 })).overLimit, true)
  })

  test('a large body is read in steps, with the same result', () => {
    const start = lines('--B', 'Content-Disposition: form-data; name="a"', '', '')
    for (const piece of [
      '\n',
      'x',
      '\n-',
      'x--B',
      `\n--x${'y'.repeat(20)}`,
      `${'x'.repeat(200_000)}\n--A\n`,
    ]) {
      const body = `${start}${piece.repeat(Math.ceil(600_000 / piece.length))}\r\n--B--\r\n`
      const steps = multipartSteps(contentType, body, defaultBodyLimits)
      let yields = 0
      let step = steps.next()
      for (; step.done !== true; step = steps.next()) yields++
      assert.ok(yields > 0, JSON.stringify(piece.slice(-9)))
      assert.equal(step.value.error, undefined)
      assert.deepEqual(step.value.args, [['a', body.slice(start.length, -'\r\n--B--\r\n'.length)]])
      const flagged = piece.includes('--B') ? 1 : piece.includes('\n--') ? 2 : 0
      assert.equal(step.value.multipart?.unmatchedBoundary, flagged)
    }
  })

  test('what a client sends arrives, without a flag', async () => {
    const form = new FormData()
    form.append('text', 'one\r\ntwo\nthree é')
    form.append('empty', '')
    form.append('q"uote', "it's --")
    form.append('file', new Blob([Buffer.from([0, 1, 10, 13, 255, 45, 45])]), 'ü.bin')
    const sent = new Response(form)
    const body = Buffer.from(await sent.arrayBuffer()).toString('latin1')
    const parsed = read(body, sent.headers.get('content-type') ?? '')
    assert.equal(parsed.error, undefined)
    assert.deepEqual(parsed.multipart, calm)
    assert.deepEqual(parsed.args, [
      ['text', bytesOf('one\r\ntwo\r\nthree é')],
      ['empty', ''],
      ['q%22uote', "it's --"],
    ])
    assert.deepEqual(
      parsed.files?.map(({ field, filename, content }) => [field, filename, content]),
      [['file', bytesOf('ü.bin'), '\0\x01\n\r\xff--']],
    )
  })

  test('any bytes are read, within the limits and in time linear in their number', () => {
    const pieces = [
      '--B',
      '--',
      '\r\n',
      '\n',
      '\r',
      'Content-Disposition: form-data; name="a"',
      '; filename="b"',
      'X: y',
      ':',
      ' ',
      '\t',
      '"',
      "'",
      '\0',
      'x',
      field('a', '1'),
      '--B--\r\n',
    ]
    const limits = limitsWith({ maxArguments: 2, maxParts: 3 })
    let accepted = 0
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 12 }), (soup) => {
        const parsed = multipartBody(contentType)(soup.join(''), limits)
        assert.equal(overgrown(parsed, limits), undefined)
        if (parsed.error === undefined) accepted++
      }),
      { numRuns: 2000 },
    )
    assert.ok(accepted > 20, `only ${accepted} were well-formed`)
    const wide = limitsWith({ maxArguments: 1e6, maxParts: 1e6 })
    const start = field('a', '').slice(0, -2)
    for (const before of ['', start, `${start}\r\n`, '--B\r\nX: y\r\n'])
      for (const piece of [
        '\n',
        '\r\n',
        '--\r\n',
        '--',
        'x--B',
        '\n--B',
        '\r\n--Bx',
        ' x\r\n',
        field('a', '1'),
        '--B\r\n',
        '-',
        'X: y\r\n',
      ])
        assert.ok(
          millisecondsOf(() => multipartBody(contentType)(before + piece.repeat(12_000), wide)) <
            3000,
          JSON.stringify([before, piece]),
        )
  })
})
