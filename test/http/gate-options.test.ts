import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { rawGate, strictGate, type RawGateOptions } from '#http/raw-gate'
import { hopByHopNames, reservedNames, reservedPrefixes } from '#http/reserved-headers'

const ask = (
  options: Partial<RawGateOptions>,
  headers: readonly string[] = [],
  line: { method?: string; url?: string; httpVersion?: string } = {},
) =>
  rawGate({ ...strictGate, ...options })({
    method: 'GET',
    url: '/',
    httpVersion: '1.1',
    rawHeaders: ['Host', 'a.example', ...headers],
    ...line,
  })
const tagOf = (result: ReturnType<typeof ask>) => (result.ok ? 'admitted' : result.problem.tag)
const namesOf = (result: ReturnType<typeof ask>) =>
  result.ok ? result.value.headers.filter((_, i) => i % 2 === 0) : [result.problem.tag]

suite('unusual names', () => {
  for (const [unusualNames, name, expected] of [
    ['refuse', 'x_note', 'header-invalid'],
    ['refuse', '__proto__', 'header-invalid'],
    ['drop', 'x_note', 'host'],
    ['drop', 'x.note', 'host'],
    ['drop', '__proto__', 'header-invalid'],
    ['allow', 'x_note', 'host,x_note'],
    ['allow', 'a+b', 'host,a+b'],
    ['allow', '__proto__', 'header-invalid'],
    // What is special under its plain spelling does not get through under another.
    ['allow', 'x_forwarded_user', 'host'],
    ['allow', 'X.Forwarded-User', 'host'],
    ['allow', 'content_length', 'host'],
    ['allow', 'Authorization_', 'host,authorization_'],
    ['allow', 'x_read_by.policy', 'host'],
    ['allow', 'x_ours_secret', 'host'],
    ['allow', 'txn_token', 'host'],
  ] as const)
    test(`${unusualNames}: ${name} becomes ${expected}`, () => {
      const options = {
        unusualNames,
        singleNames: ['x-read-by-policy'],
        reservedPrefixes: ['x-ours-'],
      }
      assert.equal(namesOf(ask(options, [name, 'v'])).join(), expected)
    })
})

suite('other options', () => {
  test('HTTP/1.0 is admitted if allowed, with a Host and without Transfer-Encoding', () => {
    const line = { httpVersion: '1.0', method: 'POST' }
    assert.equal(tagOf(ask({}, [], line)), 'request-malformed')
    assert.equal(tagOf(ask({ allowHttp10: true }, [], line)), 'admitted')
    assert.equal(
      tagOf(ask({ allowHttp10: true }, ['transfer-encoding', 'chunked'], line)),
      'request-malformed',
    )
    assert.equal(
      tagOf(rawGate({ ...strictGate, allowHttp10: true })({ ...line, url: '/', rawHeaders: [] })),
      'host-invalid',
    )
    assert.equal(tagOf(ask({ allowHttp10: true }, [], { httpVersion: '0.9' })), 'request-malformed')
  })

  test('a GET has a body if allowed', () => {
    assert.equal(tagOf(ask({ allowGetBody: true }, ['content-length', '3'])), 'admitted')
    assert.equal(tagOf(ask({ allowGetBody: true }, ['transfer-encoding', 'chunked'])), 'admitted')
    assert.equal(tagOf(ask({}, ['content-length', '3'], { method: 'HEAD' })), 'request-malformed')
    assert.equal(tagOf(ask({}, ['content-length', '3'], { method: 'DELETE' })), 'admitted')
  })

  test('WebSockets are refused if not offered', () => {
    const upgrade = ['connection', 'upgrade', 'upgrade', 'websocket']
    assert.equal(tagOf(ask({}, upgrade)), 'admitted')
    assert.equal(tagOf(ask({ allowWebSocket: false }, upgrade)), 'upgrade-refused')
  })

  test('methods are those listed, and a refusal names them', () => {
    const result = ask({ methods: ['GET', 'PROPFIND'] }, [], { method: 'POST' })
    assert.ok(!result.ok)
    assert.deepEqual(result.problem.headers, { allow: 'GET, PROPFIND' })
    assert.equal(tagOf(ask({ methods: ['PROPFIND'] }, [], { method: 'PROPFIND' })), 'admitted')
  })

  test('what is reserved stays so, even if a policy is said to read it', () => {
    const singleNames = ['x-forwarded-user', 'txn-token']
    const result = ask({ singleNames }, ['X-Forwarded-User', 'eve', 'Txn-Token', 'x'])
    assert.deepEqual(namesOf(result), ['host'])
  })

  test('a name on the list of a policy may hold other bytes nowhere', () => {
    assert.equal(tagOf(ask({ singleNames: ['x-a'] }, ['X-A', '\xe4'])), 'header-invalid')
    assert.equal(tagOf(ask({}, ['X-A', '\xe4'])), 'admitted')
  })
})

suite('of any headers', () => {
  const names = [
    ...hopByHopNames,
    ...reservedNames,
    ...reservedPrefixes.map((prefix) => `${prefix}x`),
    'x-note',
    'accept',
    'cookie',
    'authorization',
    'content-type',
  ]
  const spelling = fc.constantFrom(
    (name: string) => name,
    (name: string) => name.toUpperCase(),
    (name: string) => name.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase()),
    (name: string) => name.replaceAll('-', '_'),
    (name: string) => name.replace('-', '.'),
  )
  const pair = fc.tuple(
    fc.constantFrom(...names),
    spelling,
    fc.constantFrom(
      'v',
      'close',
      'websocket',
      'chunked',
      'x-note',
      'x-note, accept',
      '0',
      '100-continue',
    ),
  )
  const forbidden = new Set<string>([...hopByHopNames, ...reservedNames])

  for (const unusualNames of ['refuse', 'drop', 'allow'] as const)
    test(`nothing hop-by-hop, reserved or nominated gets through, however it is spelt (${unusualNames})`, () => {
      let admitted = 0
      fc.assert(
        fc.property(fc.array(pair, { maxLength: 6 }), (pairs) => {
          const sent = pairs.flatMap(([name, spell, value]) => [spell(name), value])
          const result = ask({ unusualNames }, sent, { method: 'POST' })
          if (!result.ok) return
          admitted++
          const nominated = pairs
            .filter(([name, spell]) => spell(name).toLowerCase() === 'connection')
            .flatMap(([, , value]) => value.split(', '))
          for (const name of namesOf(result)) {
            const plain = name.replace(/[._]/g, '-')
            assert.equal(name, name.toLowerCase())
            assert.ok(!forbidden.has(plain), name)
            assert.ok(!reservedPrefixes.some((prefix) => plain.startsWith(prefix)), name)
            assert.ok(!nominated.includes(name), name)
          }
        }),
        { numRuns: 1000 },
      )
      assert.ok(admitted > 60, `only ${admitted} were admitted`)
    })
})
