import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadRuleSet } from '#plugins/waf/rule-set'
import { warmUp } from '#plugins/waf/warm-up'
import { programOf, runThrough, idsOf, wafOptions } from './support.ts'

test('warming up runs the rules on attacks, and changes nothing in them', async () => {
  const program = loadRuleSet(wafOptions()).programFor()
  const attack = { target: '/?file=../../../../etc/passwd' }
  const before = idsOf(await runThrough(program, attack))
  assert.ok(before.length > 0)
  await warmUp(program)
  assert.deepEqual(idsOf(await runThrough(program, attack)), before)
})

test('warming up ends, whatever the rules do with its requests', async () => {
  await warmUp(programOf('SecRuleEngine On\nSecAction "id:1,phase:1,deny,status:403"'))
  await warmUp(programOf('SecRuleEngine Off'))
})
