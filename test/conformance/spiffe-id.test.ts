import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import {
  isSpiffeSegment,
  parseSpiffeId,
  parseTrustDomain,
  spiffePathOf,
  trustDomainOf,
} from '#contract/spiffe-id'

type Case = {
  readonly test: string
  readonly input: string
  readonly valid: boolean
  readonly trustDomain?: string
  readonly path?: string
}
type Operation = {
  readonly test: string
  readonly start: string | null
  readonly arg: string | readonly string[]
  readonly valid: boolean
  readonly path?: string
}
type Vectors = {
  readonly byteTables: {
    readonly tables: readonly {
      readonly function: 'parseId' | 'parseTrustDomain'
      readonly template: string
      readonly acceptOnly?: boolean
      readonly skip: readonly number[]
      readonly accept: readonly number[]
    }[]
  }
  readonly parseId: readonly Case[]
  readonly parseTrustDomain: readonly Case[]
  readonly trustDomainFromUri: readonly Case[]
  readonly joinSegments: readonly (Omit<Case, 'input'> & { readonly input: readonly string[] })[]
  readonly validateSegment: readonly Case[]
  readonly validatePath: readonly Case[]
  readonly idOperations: Readonly<
    Record<
      'replacePath' | 'appendPath' | 'replaceSegments' | 'appendSegments',
      readonly Operation[]
    >
  >
  readonly memberOf: readonly { id: string; trustDomain: string; member: boolean }[]
  readonly match: {
    readonly ids: Readonly<Record<string, string>>
    readonly cases: readonly {
      readonly test: string
      readonly kind: 'any' | 'id' | 'oneOf' | 'memberOf'
      readonly arg: string | readonly string[] | null
      readonly accept: readonly string[]
    }[]
  }
  readonly unmarshalEmpty: { readonly cases: readonly { readonly input: string }[] }
}

const file = new URL('../fixtures/spiffe/spiffe-id.json', import.meta.url)
const vectors = JSON.parse(readFileSync(file, 'utf8')) as Vectors

/** go-spiffe reads a trust domain also from an ID; here that is two steps. */
const trustDomainFrom = (text: string): string | undefined => {
  const id = parseSpiffeId(text)
  if (id.ok) return trustDomainOf(id.value)
  const name = parseTrustDomain(text)
  return name.ok ? name.value : undefined
}
const idWithPath = (path: string) => parseSpiffeId(`spiffe://trustdomain${path}`)
const joined = (segments: readonly string[]) => segments.map((segment) => `/${segment}`).join('')

suite('SPIFFE IDs are read as go-spiffe reads them', () => {
  test('byte by byte', () => {
    let cases = 0
    for (const { function: read, template, skip, accept, acceptOnly } of vectors.byteTables.tables)
      for (let code = 0; code < 256; code++) {
        if (skip.includes(code) || (acceptOnly && !accept.includes(code))) continue
        const text = template.replace('{c}', String.fromCodePoint(code))
        const valid =
          read === 'parseId' ? parseSpiffeId(text).ok : trustDomainFrom(text) !== undefined
        assert.equal(valid, accept.includes(code), JSON.stringify(text))
        cases++
      }
    assert.equal(cases, 805)
  })

  test('IDs', () => {
    for (const { input, valid, trustDomain, path } of vectors.parseId) {
      const id = parseSpiffeId(input)
      assert.equal(id.ok, valid, input)
      if (!id.ok) continue
      assert.equal(trustDomainOf(id.value), trustDomain)
      assert.equal(spiffePathOf(id.value), path)
    }
    assert.equal(vectors.parseId.length, 34)
  })

  test('trust domains', () => {
    const cases = [...vectors.parseTrustDomain, ...vectors.trustDomainFromUri]
    for (const { input, valid, trustDomain } of cases)
      assert.equal(trustDomainFrom(input), valid ? trustDomain : undefined, input)
    assert.equal(cases.length, 20)
  })

  test('segments and paths', () => {
    for (const { input, valid } of vectors.validateSegment)
      assert.equal(isSpiffeSegment(input), valid, input)
    for (const { input, valid } of vectors.validatePath)
      // Without a slash in between it would be a longer trust domain, which is another question.
      assert.equal(idWithPath(input).ok && !/^[^/]/.test(input), valid, input)
    for (const { input, valid, path } of vectors.joinSegments) {
      assert.equal(input.every(isSpiffeSegment), valid, String(input))
      if (!valid) continue
      const id = idWithPath(joined(input))
      assert.equal(id.ok && spiffePathOf(id.value), path)
    }
  })

  test('IDs made of an ID and a path; there is no ID without a value', () => {
    let cases = 0
    for (const [operation, rows] of Object.entries(vectors.idOperations))
      for (const { start, arg, valid, path } of rows) {
        cases++
        if (start === null) {
          assert.equal(parseSpiffeId('').ok, false)
          continue
        }
        const added = typeof arg === 'string' ? arg : joined(arg)
        const whole = operation.startsWith('replace') ? added : start + added
        const id = idWithPath(whole)
        const isPath = typeof arg !== 'string' ? arg.every(isSpiffeSegment) : /^(\/|$)/.test(arg)
        assert.equal(id.ok && isPath, valid, `${operation} ${start} ${String(arg)}`)
        if (id.ok && valid) assert.equal(spiffePathOf(id.value), path)
      }
    assert.equal(cases, 22)
  })

  test('membership and matching', () => {
    for (const { id, trustDomain, member } of vectors.memberOf)
      assert.equal(trustDomainFrom(id) === trustDomain, member)
    let cases = 0
    for (const { kind, arg, accept } of vectors.match.cases)
      for (const [key, text] of Object.entries(vectors.match.ids)) {
        cases++
        // go-spiffe matches its zero value; here an empty text is no ID, so nothing ever matches it.
        const id = parseSpiffeId(text)
        const matches =
          id.ok &&
          (kind === 'any' ||
            (kind === 'memberOf'
              ? trustDomainOf(id.value) === arg
              : [arg].flat().includes(id.value)))
        assert.equal(matches, key !== 'zero' && accept.includes(key), `${kind} ${key}`)
      }
    assert.equal(cases, 42)
  })

  test('an empty text, which go-spiffe decodes to a zero value, is refused', () => {
    for (const { input } of vectors.unmarshalEmpty.cases) {
      assert.equal(parseSpiffeId(input).ok, false)
      assert.equal(parseTrustDomain(input).ok, false)
    }
  })

  test('lengths are bounded: 255 bytes for a trust domain, 2048 for an ID', () => {
    assert.equal(parseTrustDomain('a'.repeat(255)).ok, true)
    assert.equal(parseTrustDomain('a'.repeat(256)).ok, false)
    const prefix = 'spiffe://td/'
    assert.equal(parseSpiffeId(prefix + 'a'.repeat(2048 - prefix.length)).ok, true)
    assert.equal(parseSpiffeId(prefix + 'a'.repeat(2049 - prefix.length)).ok, false)
  })
})

test('a SPIFFE ID is a trust domain and segments, each of which is one by itself', () => {
  const part = fc.constantFrom(
    '',
    '.',
    '..',
    '...',
    'a',
    'A',
    '.a',
    'b-_',
    'ä',
    '%2e',
    '/',
    '\n',
    '?',
  )
  const text = fc
    .tuple(
      fc.constantFrom('spiffe://', 'spiffe:/', 'Spiffe://', ' spiffe://'),
      fc.oneof(part, fc.constantFrom('td.example', 'a'.repeat(255), 'a'.repeat(256))),
      fc.array(fc.oneof(part, fc.constantFrom('b'.repeat(900))), { maxLength: 4 }),
      fc.constantFrom('', '/', '\n'),
    )
    .map(([scheme, domain, segments, end]) => scheme + [domain, ...segments].join('/') + end)
  const seen = { good: 0, bad: 0 }
  fc.assert(
    fc.property(text, (id) => {
      const [domain = '', ...segments] = id.slice('spiffe://'.length).split('/')
      const isOne =
        id.startsWith('spiffe://') &&
        id.length <= 2048 &&
        parseTrustDomain(domain).ok &&
        segments.every(isSpiffeSegment)
      assert.equal(parseSpiffeId(id).ok, isOne, id)
      seen[isOne ? 'good' : 'bad']++
    }),
    { numRuns: 5000 },
  )
  assert.ok(seen.good > 50 && seen.bad > 50, JSON.stringify(seen))
})
