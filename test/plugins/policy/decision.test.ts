import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { readDecision } from '#plugins/policy/decision'

const reason = { code: 'role-held', class: 'role', message: 'viewer' }

suite('what a policy gave', () => {
  for (const result of [
    { allow: true, reasons: [reason] },
    { allow: false, reasons: [reason, { ...reason, class: 'policy' }] },
    { allow: false, reasons: [] },
  ])
    test(`${JSON.stringify(result)} is a decision`, () =>
      assert.deepEqual(readDecision([{ result }]), result))

  const allowed = { result: { allow: true, reasons: [reason] } }
  for (const [what, results] of [
    ['nothing', []],
    ['two results', [allowed, allowed]],
    ['no list', allowed],
    ['null', null],
    ['a string', 'allow'],
    ['true', [{ result: true }]],
    ['a binding beside the result', [{ ...allowed, x: 1 }]],
    ['a result that is a list', [{ result: [true, []] }]],
    ['no reasons', [{ result: { allow: true } }]],
    ['reasons that are no list', [{ result: { allow: true, reasons: {} } }]],
    ['allow as a word', [{ result: { allow: 'true', reasons: [] } }]],
    ['allow as a number', [{ result: { allow: 1, reasons: [] } }]],
    ['an obligation', [{ result: { ...allowed.result, obligations: [] } }]],
    ['a reason that is a word', [{ result: { allow: true, reasons: ['role'] } }]],
    [
      'a reason without message',
      [{ result: { allow: true, reasons: [{ code: 'a', class: 'role' }] } }],
    ],
    ['a reason with more', [{ result: { allow: true, reasons: [{ ...reason, ttl: 1 }] } }]],
    [
      'a class that is not known',
      [{ result: { allow: true, reasons: [{ ...reason, class: 'toString' }] } }],
    ],
    ['a code that is no text', [{ result: { allow: true, reasons: [{ ...reason, code: 7 }] } }]],
    ['a null for a reason', [{ result: { allow: true, reasons: [null] } }]],
  ] as const)
    test(`${what} is none`, () => assert.equal(readDecision(results), undefined))
})
