import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import type { PolicyEngine, PolicyInput } from '#contract/policy'
import { pass, type Result } from '#contract/problem'
import { noLog, noMeter, type Log, type Meter } from '#contract/telemetry'
import { loadPolicyBundle } from '#plugins/policy/bundle'
import { decisionMemo } from '#plugins/policy/decision-memo'
import { policyEngine } from '#plugins/policy/engine'
import type { PolicyOptions } from '#plugins/policy/options'
import { buildBundle, inputOf, needsOpa, optionsOf, writeTemporary } from './policies.ts'

const engineOf = (
  more: Partial<PolicyOptions> = {},
  parts: { readonly meter?: Meter; readonly log?: Log } = {},
): PolicyEngine => {
  const options = optionsOf(more)
  return policyEngine(loadPolicyBundle(options), options, { meter: noMeter, log: noLog, ...parts })
}
const outcomeOf = (result: Result<unknown>) => (result.ok ? 'allowed' : result.problem.tag)
const decide = async (engine: PolicyEngine, input: PolicyInput) =>
  outcomeOf(await engine.decide(input))
const codesOf = (result: Result<unknown>): readonly string[] => {
  assert.ok(!result.ok)
  const { reasons } = result.problem.cause as { reasons: readonly { code: string }[] }
  return reasons.map(({ code }) => code)
}
const viewer = { requires: { roles: { any: ['viewer'] } } }
/** So deep that the module runs out of stack. */
const bottomless = () => {
  let deep: unknown = []
  for (let i = 0; i < 20_000; i++) deep = [deep]
  return inputOf({ ...viewer, subject: { claims: { deep } } })
}

suite('the policy engine', () => {
  test('allows what the policy allows, with reasons and revision', async () => {
    const engine = engineOf()
    const result = await engine.decide(inputOf(viewer))
    assert.deepEqual(result, {
      ok: true,
      value: {
        allow: true,
        revision: engine.revision,
        reasons: [
          { code: 'requirements-met', class: 'policy', message: 'roles' },
          { code: 'role-held', class: 'role', message: 'viewer' },
        ],
      },
    })
  })

  test('denies what it denies; the record learns why and the caller does not', async () => {
    const result = await engineOf().decide(inputOf({ requires: { roles: { any: ['admin'] } } }))
    assert.equal(outcomeOf(result), 'policy-denied')
    assert.deepEqual(codesOf(result), ['role-missing'])
    assert.ok(!result.ok && result.problem.detail === undefined)
  })

  test('takes roles from data of a file of their own', async () => {
    const staff = { roles: { claim: ['groups'], names: { G1: 'viewer' } } }
    const data = { issuers: { staff }, roles: { viewer: [] }, windows: {} }
    const engine = engineOf({ dataFile: writeTemporary(JSON.stringify(data), 'data.json') })
    const ofGroup = (group: string) =>
      inputOf({ ...viewer, subject: { claims: { groups: [group] } } })
    assert.equal(await decide(engine, ofGroup('G1')), 'allowed')
    assert.equal(await decide(engine, ofGroup('G2')), 'policy-denied')
  })

  test('denies an input that is too large', async () => {
    const claims = { groups: 'ä'.repeat(40_000) } // 80,000 bytes
    const result = await engineOf().decide(inputOf({ ...viewer, subject: { claims } }))
    assert.deepEqual(codesOf(result), ['input-too-large'])
  })

  test('denies a text that is not Unicode, and no other', async () => {
    const engine = engineOf()
    const ofClaim = async (claim: string) =>
      engine.decide(inputOf({ ...viewer, subject: { claims: { [claim]: [claim] } } }))
    for (const claim of ['\ud800', 'a\udfff', '\\\udc00', '\ud83d \ude00', '\\\\\ud800'])
      assert.deepEqual(codesOf(await ofClaim(claim)), ['input-not-unicode'], JSON.stringify(claim))
    for (const claim of ['😀', '\\ud800', '\\\\ud800', 'ud800', '\0\x1f\u2028', '\uffff'])
      assert.deepEqual(codesOf(await ofClaim(claim)), ['role-missing'], JSON.stringify(claim))
  })

  test('that breaks refuses, says so once, and decides again', async () => {
    const lines: string[] = []
    const log = { ...noLog, error: (_: object, message: string) => void lines.push(message) }
    const engine = engineOf({ maxInputBytes: 1_000_000 }, { log })
    assert.equal(await decide(engine, bottomless()), 'policy-failed')
    assert.equal(await decide(engine, bottomless()), 'policy-failed')
    assert.deepEqual(lines, ['the policy broke'])
    assert.equal(await decide(engine, inputOf(viewer)), 'allowed')
    assert.equal(await decide(engine, bottomless()), 'policy-failed')
    assert.equal(lines.length, 2)
  })

  test('counts and times what it decides', async () => {
    const counts: Record<string, number> = {}
    const add =
      (key: string) =>
      (by = 1) =>
        void (counts[key] = (counts[key] ?? 0) + by)
    const meter: Meter = {
      ...noMeter,
      counter: (_, labels) => add(Object.values(labels).join()),
      histogram: (name) => (seconds) => add(name)(Math.sign(seconds)),
    }
    const engine = engineOf({ maxInputBytes: 1_000_000 }, { meter })
    await engine.decide(inputOf(viewer))
    await engine.decide(inputOf(viewer)) // remembered: decided again, not evaluated again
    await engine.decide(inputOf({}))
    await engine.decide(bottomless())
    assert.deepEqual(counts, {
      allow: 2,
      deny: 1,
      failed: 1,
      sallyport_policy_eval_duration_seconds: 3,
    })
  })

  test('decides by the whole input: what is remembered is for nothing that differs in anything', async () => {
    const engine = engineOf()
    const wanted = { requires: { roles: { any: ['viewer'] }, methods: ['GET'] } }
    const asked = inputOf(wanted)
    const others: readonly [PolicyInput, string][] = [
      [{ ...asked, request: { ...asked.request, method: 'PUT' } }, 'method-not-admitted'],
      [{ ...asked, subject: { ...asked.subject, claims: {} } }, 'role-missing'],
      [{ ...asked, subject: { ...asked.subject, spiffeId: null } }, 'caller-unknown'],
      [{ ...asked, direction: 'exchange' }, 'direction-wrong'],
    ]
    for (let time = 0; time < 3; time++) {
      assert.equal(await decide(engine, asked), 'allowed')
      for (const [other, code] of others)
        assert.deepEqual(codesOf(await engine.decide(other)), [code])
    }
  })

  test('a window opens and closes with the second that the input names', async () => {
    const window = {
      days: ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'],
      fromHour: 8,
      toHour: 18,
      utcOffsetMinutes: 0,
    }
    const data = { issuers: {}, roles: {}, windows: { day: window } }
    const engine = engineOf({ dataFile: writeTemporary(JSON.stringify(data), 'data.json') })
    const at = (nowMs: number) => ({ ...inputOf({ requires: { window: 'day' } }), nowMs })
    const eightMs = Date.UTC(2026, 0, 5, 8)
    for (let time = 0; time < 2; time++) {
      assert.equal(await decide(engine, at(eightMs - 1000)), 'policy-denied')
      assert.equal(await decide(engine, at(eightMs)), 'allowed')
    }
  })

  test('a flood of questions does not make it remember without bound', async () => {
    const memo = decisionMemo()
    const decision = pass({ allow: true, reasons: [], revision: '1' })
    for (let i = 0; i < 10_000; i++) memo.set(`question ${i}`, decision)
    const known = Array.from({ length: 10_000 }, (_, i) => memo.get(`question ${i}`)).filter(
      Boolean,
    )
    assert.ok(known.length > 1000 && known.length <= 2048, `${known.length} are remembered`)
    memo.set('x'.repeat(5000), decision)
    assert.equal(memo.get('x'.repeat(5000)), undefined)
  })

  test('denies whatever claims it is given that give no role', async () => {
    const engine = engineOf()
    let asked = 0
    await fc.assert(
      fc.asyncProperty(fc.jsonValue({ stringUnit: 'binary' }), async (value) => {
        const claims = { realm_access: { roles: value as never }, scope: value, tenant: value }
        const result = await engine.decide(inputOf({ ...viewer, subject: { claims } }))
        asked++
        assert.deepEqual(codesOf(result), ['role-missing'])
      }),
      { numRuns: 200 },
    )
    assert.equal(asked, 200)
  })
})

suite('a policy of the user', needsOpa, () => {
  const engineFor = (rego: string) =>
    engineOf({ bundleFile: buildBundle(`package sallyport\n\n${rego}`) })

  // At the sample request of the start each gives a decision.
  const elsewhere = 'decision := {"allow": false, "reasons": []} if input.route.id == "sample"\n\n'
  for (const [what, rego, outcome] of [
    ['gives a decision', '{"allow": true, "reasons": []}', 'allowed'],
    ['is undefined for a request', 'input.nope', 'policy-denied'],
    ['gives a bare true', 'true', 'policy-denied'],
    [
      'gives an obligation',
      '{"allow": true, "reasons": [], "obligations": ["mask"]}',
      'policy-denied',
    ],
    ['contradicts itself', '[1, 2][_]', 'policy-failed'],
    ['gives without end', 'numbers.range(1, 100000)', 'policy-failed'],
    [
      'takes memory without end',
      'count([x | some i in numbers.range(1, 9000); some j in numbers.range(1, 9000); x := [i, j]])',
      'policy-failed',
    ],
  ] as const)
    test(`that ${what} ends as ${outcome}`, async () => {
      const rule = `decision := ${rego} if input.route.id != "sample"`
      assert.equal(await decide(engineFor(`${elsewhere}${rule}`), inputOf(viewer)), outcome)
    })
})
