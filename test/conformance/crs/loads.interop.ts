import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { InspectionRecord } from '#contract/inspection'
import { waf } from '#plugins/waf/guard'
import { loadRuleSet, type RuleSet } from '#plugins/waf/rule-set'
import { collectGarbage } from '#test/collect-garbage'
import { inspectionInput, wafOptions } from '#test/plugins/waf/support'
import { without } from '#test/tools'
import { crsFolder, debianCrs, needsCrs } from './crs-folder.ts'

const v4 = crsFolder()
const sets = [
  { name: 'CRS v4.25.0', folder: v4, rules: 600, needed: needsCrs() },
  {
    name: 'CRS v3.3 of Debian',
    folder: debianCrs(),
    rules: 500,
    needed: without({ 'the package modsecurity-crs': debianCrs() }),
  },
]

/** Loaded once, for all that is asked of it. */
const loadOnce = (folder: string | undefined) => {
  const options = wafOptions({ crs: folder })
  let ruleSet: RuleSet | undefined
  return { options, load: () => (ruleSet ??= loadRuleSet(options)) }
}

suite('Loading a Core Rule Set', () => {
  for (const { name, folder, rules, needed } of sets) {
    const { options, load } = loadOnce(folder)
    test(`${name} has no word that is not supported`, needed, () => {
      const ruleSet = load()
      assert.ok(ruleSet.ruleCount > rules, `only ${ruleSet.ruleCount} rules`)
      assert.deepEqual(ruleSet.warnings, [])
      assert.deepEqual(ruleSet.notes, [])
      for (const paranoia of [1, 4])
        assert.ok((ruleSet.programFor({ paranoia }).phases.get(2)?.units.length ?? 0) > 50)
    })

    test(`${name} refuses an attack with its score, and admits a page`, needed, async () => {
      const inspect = waf({ ruleSet: load(), options, clock: () => 0 })
      const refused = await inspect(inspectionInput({ query: "?id=1'%20OR%20'1'='1" }))
      assert.equal(refused.ok ? 'admitted' : refused.problem.tag, 'attack-suspected')
      const record = refused.ok ? undefined : (refused.problem.cause as InspectionRecord)
      assert.ok((record?.inboundScore ?? 0) >= 5, JSON.stringify(record))
      assert.ok(record?.rules.some(({ id }) => id === 942100))
      assert.ok((await inspect(inspectionInput({ path: '/shop', query: '?id=42&q=shoes' }))).ok)
    })
  }

  test('a chunked body is none without a length', needsCrs(), async () => {
    const options = wafOptions({ crs: v4, mode: 'detect' })
    const inspect = waf({ ruleSet: loadRuleSet(options), options, clock: () => 0 })
    const headers = ['user-agent', 'x', 'accept', '*/*', 'content-type', 'application/json']
    const body = { bytes: Buffer.from('{"a":1}'), whole: true }
    const seen = await inspect(inspectionInput({ method: 'POST', headers }, body))
    assert.ok(seen.ok)
    assert.deepEqual(seen.value.record()?.rules, [])
  })

  test('a rule set that is loaded again and again leaves nothing behind', needsCrs(), () => {
    const options = wafOptions({ crs: v4 })
    const load = () => loadRuleSet(options).programFor()
    const heapAfter = (times: number): number => {
      for (let i = 0; i < times; i++) load()
      collectGarbage()
      return process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers
    }
    // The first loads leave what is compiled once; what the later ones leave would come with each.
    const before = heapAfter(3)
    const growth = heapAfter(4) - before
    assert.ok(growth < 10_000_000, `${growth} bytes more after four loads`)
  })
})
