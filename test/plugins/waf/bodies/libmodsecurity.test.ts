import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import * as fc from 'fast-check'
import type { MultipartFlags, ParsedBody } from '#plugins/waf/bodies/body'
import { jsonBody } from '#plugins/waf/bodies/json'
import { multipartBody } from '#plugins/waf/bodies/multipart'
import { urlencodedBody } from '#plugins/waf/bodies/urlencoded'
import { xmlBody } from '#plugins/waf/bodies/xml'
import { findToolData, without } from '#test/tools'
import { anyJson, bytesOf, limitsWith } from './bytes.ts'

/** What libmodsecurity saw in a body. Texts are in hexadecimal. */
type Seen = {
  readonly lists: Readonly<Record<string, readonly string[]>>
  readonly error: boolean
  readonly invalidEncoding: boolean
  readonly flags: readonly string[]
}

const python = findToolData('python/bin/python')
const hasModule =
  python !== undefined && spawnSync(python, ['-c', 'import libmodsecurity']).status === 0
const options = without({ 'libmodsecurity in Python': hasModule ? python : undefined })

const hex = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('hex')

const askLibmodsecurity = (
  asked: readonly (readonly [type: string, body: string])[],
): readonly Seen[] => {
  const script = fileURLToPath(new URL('read-by-libmodsecurity.py', import.meta.url))
  const input = asked
    .map(([type, body]) => `${JSON.stringify({ type, body: hex(body) })}\n`)
    .join('')
  const { status, stdout, stderr } = spawnSync(python ?? '', [script], {
    input,
    timeout: 60_000,
    maxBuffer: 2 ** 28,
    encoding: 'utf8',
  })
  assert.equal(status, 0, stderr)
  return stdout
    .trim()
    .split('\n')
    .map((line): Seen => JSON.parse(line))
}

/** It keeps arguments in a hash table, so order is not compared. */
const sortedPairs = (names: readonly string[] = [], values: readonly string[] = []) => {
  assert.equal(names.length, values.length)
  return names.map((name, index) => `${name}=${values[index]}`).sort()
}
const ourPairs = (pairs: readonly (readonly [string, string])[]) =>
  pairs.map(([name, value]) => `${hex(name)}=${hex(value)}`).sort()

const limits = limitsWith({ maxArguments: 1e6, maxTotalNameBytes: 1e9 })
const sample = <T>(arbitrary: fc.Arbitrary<T>, numRuns: number): readonly T[] =>
  fc.sample(arbitrary, { numRuns, seed: 20_261_001 })
const soupOf = (pieces: readonly string[], maxLength: number): fc.Arbitrary<string> =>
  fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength }).map((soup) => soup.join(''))

/** Reads bodies by both, and has them compared. */
const compare = (
  type: string,
  bodies: readonly string[],
  ours: (body: string) => ParsedBody,
  check: (parsed: ParsedBody, seen: Seen, body: string) => void,
): void => {
  const all = askLibmodsecurity(bodies.map((body) => [type, body]))
  assert.equal(all.length, bodies.length)
  bodies.forEach((body, index) => {
    const seen = all[index]
    assert.ok(seen)
    check(ours(body), seen, JSON.stringify(body))
  })
}

suite('bodies are read as libmodsecurity reads them', options, () => {
  test('urlencoded', () => {
    const pieces = [
      'a',
      'b',
      '=',
      '&',
      '+',
      '%',
      '%4',
      '%41',
      '%26',
      '%00',
      '%zz',
      '\xe9',
      '"',
      'name',
    ]
    const bodies = sample(soupOf(pieces, 12), 800)
    compare(
      'application/x-www-form-urlencoded',
      bodies,
      (body) => urlencodedBody(body, limits),
      (parsed, seen, body) => {
        assert.deepEqual(
          ourPairs(parsed.args),
          sortedPairs(seen.lists['ARGS_NAMES'], seen.lists['ARGS']),
          body,
        )
        // It forgets what was wrong with a name once it has decoded the value.
        if (seen.invalidEncoding) assert.equal(parsed.invalidEncoding, true, body)
      },
    )
  })

  test('JSON', () => {
    const pieces = [
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a":',
      '"b"',
      '""',
      '1',
      '-2.5e3',
      'true',
      'null',
      ' ',
      '"\\u00e9\\n"',
      '[1,[2]]',
      '{"c":{"d":[{}]}}',
      '\xc3\xa9',
      '"\\x"',
      '01',
    ]
    const values = sample(anyJson, 100)
    const written = values
      .map((value) => bytesOf(JSON.stringify(value)))
      .filter((body) => !body.includes('\\ud')) // lone surrogates: it takes some of them for others
    const bodies = [...written, ...sample(soupOf(pieces, 8), 800)]
    let wellFormed = 0
    compare(
      'application/json',
      bodies,
      (body) => jsonBody(body, limits),
      (parsed, seen, body) => {
        assert.equal(parsed.error !== undefined, seen.error, body)
        if (seen.error) return
        wellFormed++
        assert.deepEqual(
          ourPairs(parsed.args),
          sortedPairs(seen.lists['ARGS_NAMES'], seen.lists['ARGS']),
          body,
        )
      },
    )
    assert.ok(wellFormed > 120, `only ${wellFormed} were JSON`)
  })

  test('XML', () => {
    const pieces = [
      '<a>',
      '</a>',
      '<b c="1">',
      '</b>',
      '<d/>',
      "<e f='2&lt;'/>",
      'text',
      '&amp;',
      '&#65;',
      '&',
      '<![CDATA[<x>]]>',
      '<!-- y -->',
      '<?p z?>',
      ' ',
      '\n',
      '<',
      '>',
      '"',
      ']]>',
      '&x;',
      '<g h="1" h="2"/>',
      '<g h="\t&#9;"/>',
      '--',
      '\xc3\xa9',
    ]
    const soups = sample(soupOf(pieces, 6), 800)
    const bodies = [...soups.map((soup) => `<r>${soup}</r>`), ...soups.slice(0, 100)]
    let wellFormed = 0
    compare(
      'text/xml',
      bodies,
      (body) => xmlBody(body, limits),
      (parsed, seen, body) => {
        assert.equal(parsed.error !== undefined, seen.error, body)
        if (seen.error) return
        wellFormed++
        assert.deepEqual(parsed.xml?.texts.map(hex), seen.lists['XML:/*'], body)
        assert.deepEqual(parsed.xml?.attributes.map(hex), seen.lists['XML://@*'], body)
      },
    )
    assert.ok(wellFormed > 80, `only ${wellFormed} were XML`)
  })

  test('multipart', () => {
    const nameOfFlag: Readonly<Record<string, keyof MultipartFlags>> = {
      BOUNDARY_QUOTED: 'boundaryQuoted',
      BOUNDARY_WHITESPACE: 'boundaryWhitespace',
      DATA_BEFORE: 'dataBefore',
      DATA_AFTER: 'dataAfter',
      HEADER_FOLDING: 'headerFolding',
      INVALID_HEADER_FOLDING: 'invalidHeaderFolding',
      LF_LINE: 'lfLine',
      CRLF_LF_LINES: 'crlfLfLines',
      MISSING_SEMICOLON: 'missingSemicolon',
      INVALID_QUOTING: 'invalidQuoting',
      INVALID_PART: 'invalidPart',
    }
    const usual = (common: string, ...rare: readonly string[]) =>
      fc.oneof(
        { weight: 8, arbitrary: fc.constant(common) },
        { weight: rare.length, arbitrary: fc.constantFrom(...rare) },
      )
    const lineEnd = usual('\r\n', '\n')
    const part = fc
      .tuple(
        usual('--B', '--Bx', '-- B', 'x--B', '--'),
        lineEnd,
        usual(
          'Content-Disposition: form-data; name="a"',
          "Content-Disposition: form-data; name='b'",
          'Content-Disposition:form-data;name=c',
          'Content-Disposition: form-data;\r\n name="d"',
          'Content-Disposition: form-data; name="e"; filename="f.txt"',
          'content-disposition: form-data; filename=g; name="h\\"i"',
        ),
        lineEnd,
        usual('', 'X-Y: z\r\n', 'X-Y: z\r\n\tfolded\r\n'),
        lineEnd,
        fc.constantFrom('1', '', 'some text', 'x\0y', '-----PEM', 'a\rb'),
        lineEnd,
      )
      .map((pieces) => pieces.join(''))
    const body = fc
      .tuple(
        usual('', 'x\r\n'),
        fc.array(part, { maxLength: 3 }),
        usual('--B--\r\n', '--B--', '--B-', '--B--\r\nx', ''),
      )
      .map(([before, parts, after]) => before + parts.join('') + after)
    const bodies = sample(body, 900).filter((one) => one !== '')
    let wellFormed = 0
    compare(
      'multipart/form-data; boundary=B',
      bodies,
      (one) => multipartBody('multipart/form-data; boundary=B')(one, limits),
      (parsed, seen, one) => {
        // It carries on after most errors in the headers of a part (its `< 0` is never true): we are stricter, as v2 is.
        if (seen.error) assert.ok(parsed.error, one)
        if (parsed.error !== undefined) return
        wellFormed++
        const { lists, flags } = seen
        // It loses the line ends within a value, which v2 does not.
        const joined = parsed.args.map(
          ([name, value]) => [name, value.replaceAll(/\r?\n/g, '')] as const,
        )
        assert.deepEqual(ourPairs(joined), sortedPairs(lists['ARGS_NAMES'], lists['ARGS']), one)
        const files = (parsed.files ?? []).map(({ field, filename }) => [field, filename] as const)
        assert.deepEqual(
          files.map(([, filename]) => hex(filename)).sort(),
          [...(lists['FILES'] ?? [])].sort(),
          one,
        )
        assert.deepEqual(
          (parsed.partHeaders ?? []).map(([, line]) => hex(line)).sort(),
          [...(lists['MULTIPART_PART_HEADERS'] ?? [])].sort(),
          one,
        )
        const ourFlags = Object.keys(nameOfFlag).filter((name) => {
          const flag = nameOfFlag[name]
          return flag !== undefined && parsed.multipart?.[flag] === true
        })
        assert.deepEqual(ourFlags, flags, one)
      },
    )
    assert.ok(wellFormed > 150, `only ${wellFormed} were well-formed`)
  })
})
