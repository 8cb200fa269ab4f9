import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { targetReader, type PathPolicy } from '#http/normalise-path'
import { replyProblem } from '#http/problem-reply'
import { rawGate, strictGate } from '#http/raw-gate'
import { runEdge } from './fixtures.ts'
import { dial, head } from './wire.ts'

type Vector = { group: string; mode: string; in: string; out: string }
const { cases } = JSON.parse(
  readFileSync(new URL('../fixtures/istio/normalization.json', import.meta.url), 'utf8'),
) as { cases: Vector[] }

const istio: PathPolicy = { mode: 'istio-decode-and-merge', semicolon: 'keep' }
const reject: PathPolicy = { mode: 'reject', semicolon: 'refuse' }
const ourMode = 'DECODE_AND_MERGE_SLASHES'

/** What a row must become here: rows of Istio's weaker modes have the same input in ours. */
const expected = (row: Vector): string =>
  row.mode === ourMode
    ? row.out
    : (cases.find((other) => other.mode === ourMode && other.in === row.in)?.out ?? 'no such row')

const readerOf = (policy: PathPolicy) => {
  const read = targetReader(policy)
  return (target: string) => {
    const result = read(target)
    return result.ok ? result.value.path + result.value.query : '400'
  }
}
const inIstioMode = readerOf(istio)
const inRejectMode = readerOf(reject)

/** The rule in words: which inputs two programs could read differently. */
const isAmbiguous = (path: string) => {
  const decoded = path.replace(/%2e/gi, '.')
  return (
    /\/\/|[\\;#]|%2f|%5c|%00/i.test(path) ||
    decoded.split('/').some((segment) => segment === '.' || segment === '..') ||
    /%(c0|c1|[89ab][0-9a-f]|[c-f][0-9a-f](?!%[89ab]))/i.test(path)
  )
}

suite("Istio's 345 rows", () => {
  test('are all there', () => assert.equal(cases.length, 345))

  test('become in its mode what they become there', () => {
    for (const row of cases) assert.equal(inIstioMode(row.in), expected(row), row.in)
  })

  test('are refused or left as they would be there in mode reject', () => {
    const refused = cases.filter((row) => inRejectMode(row.in) === '400')
    for (const row of cases)
      if (isAmbiguous(row.in)) assert.equal(inRejectMode(row.in), '400', row.in)
      else assert.equal(inRejectMode(row.in), expected(row), row.in)
    assert.ok(refused.length > 150 && refused.length < 250, `${refused.length} refused`)
  })

  test('reach the handler over a socket just so', async () => {
    const gate = rawGate({ ...strictGate, path: istio })
    const edge = await runEdge({
      doors: {
        request: (req, res) => {
          const result = gate(req)
          if (!result.ok) return void replyProblem(res, result.problem)
          const { path } = result.value
          res.writeHead(200, { 'content-length': path.length }).end(path)
        },
        upgrade: (_req, socket) => void socket.destroy(),
        connect: (_req, socket) => void socket.destroy(),
      },
    })
    let wire = await dial(edge.port)
    let compared = 0
    for (const row of cases) {
      wire.write(head(`GET ${row.in} HTTP/1.1`))
      const answer = await wire.answer()
      if (answer.status === 400) {
        await wire.end()
        wire = await dial(edge.port)
      }
      assert.equal(answer.status === 400 ? '400' : answer.body, expected(row), row.in)
      compared++
    }
    wire.destroy()
    await edge.listener.close(0)
    assert.equal(compared, 345)
  })
})

suite('a path', () => {
  for (const [path, becomes] of [
    ['/..;/admin', '400'],
    ['/a;v=1/b', '/a;v=1/b'],
    ['/a/.;x/b', '400'],
    ['/a/..;', '400'],
    ['/a/...;x', '/a/...;x'],
  ] as const)
    test(`${path} with matrix parameters kept becomes ${becomes}`, () => {
      assert.equal(readerOf({ mode: 'reject', semicolon: 'keep' })(path), becomes)
    })

  test('with matrix parameters is refused in both modes unless they are kept', () => {
    assert.equal(inRejectMode('/a;b'), '400')
    assert.equal(readerOf({ ...istio, semicolon: 'refuse' })('/a;b'), '400')
  })

  test('with an escape that decoding would complete is refused in both modes', () => {
    for (const read of [inIstioMode, inRejectMode]) assert.equal(read('/a/%2%65%2%65/b'), '400')
  })

  test('loses its fragment in the mode of Istio, and what stands in it is no query', () => {
    assert.equal(inIstioMode('/a#b?c'), '/a')
    assert.equal(inIstioMode('/a?b#c'), '/a?b')
  })
})

const alphabet = [
  '/',
  '.',
  '%2e',
  '%2E',
  '%2f',
  '%5c',
  '\\',
  ';',
  '#',
  '%00',
  '%25',
  '%',
  'a',
  '%61',
  '%41',
  '%c3%a9',
  '%c0%ae',
  '%ff',
  '%20',
  '?',
  '&',
  '%7e',
  '..',
  '//',
]
const anyTarget = fc
  .array(fc.constantFrom(...alphabet), { maxLength: 12 })
  .map((parts) => `/${parts.join('')}`)
const policies = [
  reject,
  { ...reject, semicolon: 'keep' },
  istio,
  { ...istio, semicolon: 'refuse' },
] as const

suite('of any target', () => {
  for (const policy of policies) {
    const read = readerOf(policy)
    const admitted = (check: (sent: string, path: string) => void) => {
      let count = 0
      fc.assert(
        fc.property(anyTarget, (sent) => {
          const result = targetReader(policy)(sent)
          if (!result.ok) return
          count++
          check(sent, result.value.path)
        }),
        { numRuns: 2000 },
      )
      assert.ok(count > 100, `only ${count} were admitted`)
    }
    const name = `${policy.mode}, semicolon ${policy.semicolon}`

    test(`the result is itself again (${name})`, () => {
      admitted((sent) => assert.equal(read(read(sent)), read(sent)))
    })

    test(`the path holds nothing that is forbidden (${name})`, () => {
      admitted((_sent, path) => {
        assert.ok(path.startsWith('/'))
        assert.doesNotMatch(path, /\/\/|\\|%2f|%5c|%00|[#?]|%2e|%6[1-9a-f]/i)
        assert.doesNotMatch(path, /\/\.\.?(\/|$)/)
        assert.doesNotMatch(path, /%(?![0-9a-f]{2})/i)
        if (policy.semicolon === 'refuse') assert.ok(!path.includes(';'))
        if (policy.mode === 'reject') assert.doesNotThrow(() => decodeURIComponent(path))
      })
    })

    test(`a service that decodes it once finds no other path (${name})`, () => {
      admitted((_sent, path) => {
        const decoded = Buffer.from(path, 'latin1')
          .toString('latin1')
          .replace(/%([0-9a-f]{2})/gi, (_all, hex: string) =>
            String.fromCharCode(Number.parseInt(hex, 16)),
          )
        assert.doesNotMatch(decoded, /\/\.\.?(\/|$)|\\|\/\//)
        assert.equal(decoded.split('/').length, path.split('/').length)
      })
    })
  }
})
