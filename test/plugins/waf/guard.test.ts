import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { pass, refuse } from '#contract/problem'
import type { InspectionInput } from '#contract/inspection'
import { waf } from '#plugins/waf/guard'
import type { RouteWafOptions } from '#plugins/waf/options'
import { loadRuleSet, WafOptionsError } from '#plugins/waf/rule-set'
import { inspectionInput, wafOptions } from './support.ts'

const make = (some: Record<string, unknown> = {}, route: RouteWafOptions = {}) => {
  const options = wafOptions(some)
  return waf({ ruleSet: loadRuleSet(options), options, route, clock: () => 0 })
}
const attack = inspectionInput({ query: "?id=1'%20OR%20'1'='1" })
const post = (body: string, whole = true, type = 'application/x-www-form-urlencoded') =>
  inspectionInput(
    {
      method: 'POST',
      headers: ['user-agent', 'x', 'content-type', type, 'content-length', String(body.length)],
    },
    { bytes: Buffer.from(body), whole },
  )
const tagOf = async (inspect: ReturnType<typeof make>, input: InspectionInput) => {
  const result = await inspect(input)
  return result.ok ? 'admitted' : result.problem.tag
}

suite('The guard', () => {
  test('refuses an attack, and tells the record which rule saw what where', async () => {
    const result = await make()(attack)
    assert.ok(!result.ok)
    assert.equal(result.problem.tag, 'attack-suspected')
    assert.equal(result.problem.detail, undefined)
    const { cause } = result.problem
    const record = cause as {
      rules: { id: number; variable: string; exclusion: string }[]
      inboundScore: number
    }
    const rule = record.rules.find(({ id }) => id === 8140001)
    assert.equal(rule?.variable, 'ARGS:id')
    assert.equal(rule?.exclusion, '{ rule: "8140001", target: "ARGS:id" }')
    assert.ok(record.inboundScore >= 5)
  })
  test('answers at once where nothing has to be waited for', () => {
    const inspect = make()
    const answers = Array.from({ length: 50 }, () => inspect(inspectionInput()))
    // A slice of work ends by time, and another process can take that from any one of them.
    assert.ok(answers.some((answer) => !(answer instanceof Promise)))
  })
  test('in detect mode admits an attack and records it; off looks at nothing', async () => {
    const seen = await make({}, { mode: 'detect' })(attack)
    assert.ok(seen.ok)
    assert.equal(seen.value.record()?.decidedBy, 8190010)
    const unseen = await make({ mode: 'off' })(attack)
    assert.ok(unseen.ok)
    assert.equal(unseen.value.record(), undefined)
  })
  test('what may be a secret is not in the record', async () => {
    const result = await make(
      {},
      { mode: 'detect' },
    )(inspectionInput({ query: "?password=hunter2'%20OR%20'1'='1" }))
    assert.ok(result.ok)
    const text = JSON.stringify(result.value.record())
    assert.ok(text.includes('ARGS:password') && !text.includes('hunter2'), text)
  })
  test('an exclusion takes a target out of a rule, by key, glob or pattern, or the whole rule', async () => {
    for (const exclusion of [
      { rule: '8140001', target: 'ARGS:id' },
      { rule: '8140000-8140099', target: 'ARGS:i*' },
      { tag: 'attack-sqli', target: 'ARGS:/^id$/' },
      { tag: 'attack-sqli', target: 'ARGS' },
      { rule: '8140001' },
    ])
      assert.equal(
        await tagOf(make({ exclusions: [exclusion] }), attack),
        'admitted',
        JSON.stringify(exclusion),
      )
    assert.equal(
      await tagOf(make({}, { exclusions: [{ rule: '8140001', target: 'ARGS:id' }] }), attack),
      'admitted',
    )
    assert.equal(
      await tagOf(make({ exclusions: [{ rule: '8140001', target: 'ARGS:other' }] }), attack),
      'attack-suspected',
    )
  })
  test('all exclusions that name no rule, or no target, are faults at load', () => {
    const exclusions = [
      { rule: '1' },
      { tag: 'no-such' },
      { rule: '8140001', target: 'NONSENSE:a' },
      {},
    ]
    assert.throws(
      () => make({ exclusions }),
      (error: unknown) => error instanceof WafOptionsError && error.faults.length === 4,
    )
    assert.throws(() => make({}, { exclusions: [{ rule: '1' }] }), WafOptionsError)
  })
  test('excluding the rule that decides is warned of', () => {
    const { warnings } = loadRuleSet(wafOptions({ exclusions: [{ rule: '8190010' }] }))
    assert.equal(warnings.length, 1)
  })
  test('a body is looked at; one that is not what it says it is is refused', async () => {
    const inspect = make()
    assert.equal(
      await tagOf(inspect, post('a=%3Cscript%3Ealert(1)%3C/script%3E')),
      'attack-suspected',
    )
    assert.equal(await tagOf(inspect, post('{"a":', true, 'application/json')), 'request-malformed')
    assert.equal(await tagOf(inspect, post('{"a":1}', true, 'application/json')), 'admitted')
  })
  test('over a limit is refused, unless the route takes part of it', async () => {
    const limits = { maxArguments: 3, maxValueBytes: 256, maxBodyBytes: 1024 }
    const inspect = make({ limits })
    assert.equal(await tagOf(inspect, post('a=1', false)), 'body-too-large')
    assert.equal(await tagOf(inspect, post('a=1&b=2&c=3&d=4')), 'request-malformed')
    assert.equal(await tagOf(inspect, post(`a=${'x'.repeat(300)}`)), 'request-malformed')
    assert.equal(
      await tagOf(inspect, inspectionInput({ query: '?a=1&b=2&c=3&d=4' })),
      'request-malformed',
    )
    const long = 'x'.repeat(300)
    for (const [type, body] of [
      ['text/xml', `<a b="${long}"/>`],
      ['application/json', `{"${long}":1}`],
      [
        'multipart/form-data; boundary=b',
        `--b\r\nContent-Disposition: form-data; name="${long}"\r\n\r\n1\r\n--b--\r\n`,
      ],
    ] as const)
      assert.equal(await tagOf(inspect, post(body, true, type)), 'request-malformed', type)
    const lenient = make({ limits }, { overLimit: 'inspect-part' })
    assert.equal(await tagOf(lenient, post('a=1', false)), 'admitted')
    assert.equal(await tagOf(lenient, post(`a=${'x'.repeat(300)}`)), 'admitted')
  })
  test('a call of gRPC is not waited for; what only says that it is one, is looked at', async () => {
    const ask = async (body: string, protocol = 'HTTP/2.0') => {
      const asked: number[] = []
      const input = post(body, false, 'application/grpc+proto')
      const bytes = Buffer.from(body)
      const peek = (most: number) => {
        asked.push(most)
        return pass({ bytes: bytes.subarray(0, most), whole: most > bytes.length })
      }
      return [await tagOf(make(), { ...input, protocol, peek }), asked.at(-1)]
    }
    assert.deepEqual(await ask('\0\0\0\0\x02\x08\x01'), ['admitted', 1])
    assert.deepEqual(await ask('{"a":"<script>alert(1)</script>"}'), ['attack-suspected', 131_072])
    assert.deepEqual(await ask('a=<script>alert(1)</script>', 'HTTP/1.1'), [
      'attack-suspected',
      131_072,
    ])
  })
  test('what the body refuses with is passed on', async () => {
    const input = { ...post('a=1'), peek: () => refuse('request-timeout') }
    assert.equal(await tagOf(make(), input), 'request-timeout')
  })
  test('a share of the requests can be sampled, by what the caller cannot choose', async () => {
    const inspect = make({ samplingPercent: 50 })
    let refused = 0
    for (let i = 0; i < 400; i++)
      if ((await tagOf(inspect, { ...attack, decisionId: `d${i}` })) !== 'admitted') refused++
    assert.ok(refused > 120 && refused < 280, `${refused} of 400`)
  })
  test('routes that want the same share one program, and paranoia can differ', () => {
    const ruleSet = loadRuleSet(wafOptions())
    assert.equal(ruleSet.programFor({ mode: 'detect' }), ruleSet.programFor())
    assert.notEqual(ruleSet.programFor({ paranoia: 2 }), ruleSet.programFor())
  })
})
