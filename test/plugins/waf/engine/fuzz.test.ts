import assert from 'node:assert/strict'
import { readFileSync, globSync } from 'node:fs'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { waf } from '#plugins/waf/guard'
import { loadRuleSet } from '#plugins/waf/rule-set'
import { loadRules } from '#plugins/waf/seclang/load'
import { SecLangError } from '#plugins/waf/seclang/syntax'
import { inspectionInput, wafOptions } from '../support.ts'

/** More for a long run: `SALLYPORT_FUZZ_RUNS=100000 npm run test:only`. */
const runs = Number(process.env['SALLYPORT_FUZZ_RUNS'] ?? 300)

const types = [
  'application/x-www-form-urlencoded',
  'application/json',
  'application/vnd.api+json; charset=utf-8',
  'text/xml',
  'application/soap+xml',
  'multipart/form-data; boundary=b',
  'multipart/form-data; boundary="b',
  'text/plain',
  '',
]
const pieces = [
  '--b\r\n',
  '--b--',
  'Content-Disposition: form-data; name="a"; filename="x.php"\r\n\r\n',
  '{"a":',
  '[[[',
  '"\\u00e4\\ud800"',
  '1e999',
  '<a b="c">',
  '<![CDATA[',
  '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>',
  '&b;&#x41;',
  '%00%zz%u0041',
  'a=1&b=2;c',
  "' or 1=1--",
  '<script>',
  '../',
  '\r\n',
  '\0\xff\xc0\xaf',
]
const text = fc
  .array(fc.oneof(fc.constantFrom(...pieces), fc.string({ unit: 'binary', maxLength: 12 })), {
    maxLength: 12,
  })
  .map((parts) => Buffer.from(parts.join(''), 'latin1'))

const latin1 = (bytes: Buffer): string => bytes.toString('latin1')
const inHeader = (bytes: Buffer): string => latin1(bytes).replace(/[\0\r\n]/g, ' ')

suite('Whatever is sent', () => {
  const options = wafOptions({ responses: true, overLimit: 'inspect-part' })
  const inspect = waf({ ruleSet: loadRuleSet(options), options, clock: () => 0 })

  test('the guard admits or refuses, the same way each time, and never throws', async () => {
    const seen = new Set<string>()
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...types),
        text,
        text,
        text,
        fc.boolean(),
        async (type, body, query, header, whole) => {
          const ask = async () => {
            const headers = [
              'content-type',
              type,
              'cookie',
              inHeader(header),
              'x',
              inHeader(header),
            ]
            const head = { method: 'POST', query: `?${inHeader(query)}`, headers }
            const result = await inspect(inspectionInput(head, { bytes: body, whole }))
            if (!result.ok) return [result.problem.tag, result.problem.cause]
            const answer = await result.value.head(200, ['content-type', 'text/html'])
            if (answer.ok) await result.value.body(body, whole)
            return ['admitted', result.value.record()]
          }
          const first = await ask()
          seen.add(String(first[0]))
          assert.deepEqual(await ask(), first)
        },
      ),
      { numRuns: runs },
    )
    assert.ok(seen.has('admitted') && seen.has('attack-suspected'), [...seen].join())
  })
})

suite('Rule files that someone damaged', () => {
  const files = globSync(new URL('../../../../config/waf/base/*.conf', import.meta.url).pathname)
  const whole = files.map((file) => readFileSync(file, 'latin1'))

  test('load, or name file and line', () => {
    assert.ok(whole.length > 3)
    let refused = 0
    fc.assert(
      fc.property(
        fc.constantFrom(...whole),
        fc.nat(),
        fc.nat({ max: 40 }),
        fc.oneof(
          fc.constantFrom('"', "'", '\\', ',', '|', '\n', '@rx (', 'chain', '%{'),
          fc.string(),
        ),
        (rules, place, length, instead) => {
          const at = place % rules.length
          const damaged = rules.slice(0, at) + instead + rules.slice(at + length)
          try {
            loadRules([{ name: 'damaged.conf', text: damaged }])
          } catch (cause) {
            assert.ok(cause instanceof SecLangError, String(cause))
            assert.match(cause.message, /^damaged\.conf:\d+: /)
            refused++
          }
        },
      ),
      { numRuns: runs },
    )
    assert.ok(refused > runs / 20, `only ${refused} were refused`)
  })
})
