import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { suite, test } from 'node:test'
import { loadRuleSet } from '#plugins/waf/rule-set'
import { wafOptions } from '#test/plugins/waf/support'
import { crsFolder, debianCrs, noCrs } from './crs-folder.ts'

const v4 = crsFolder()
const sets = [
  { name: 'CRS v4.25.0', folder: v4, rules: 600, skip: v4 === undefined && noCrs },
  {
    name: 'CRS v3.3 of Debian',
    folder: debianCrs,
    rules: 500,
    skip: !existsSync(`${debianCrs}/rules`) && 'the package modsecurity-crs is not installed',
  },
]

suite('Loading a Core Rule Set', () => {
  for (const { name, folder, rules, skip } of sets)
    test(`${name} has no word that is not supported`, { skip }, () => {
      const ruleSet = loadRuleSet(wafOptions({ crs: folder }))
      assert.ok(ruleSet.ruleCount > rules, `only ${ruleSet.ruleCount} rules`)
      assert.deepEqual(ruleSet.warnings, [])
      for (const paranoia of [1, 2, 3, 4])
        assert.ok((ruleSet.programFor({ paranoia }).phases.get(2)?.units.length ?? 0) > 50)
    })
})
