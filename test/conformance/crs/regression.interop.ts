import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { compileRules } from '#plugins/waf/engine/program'
import { readTests } from '#plugins/waf/ftw/read-tests'
import { runTests, testSettings } from '#plugins/waf/ftw/run-tests'
import { findCrs } from '#plugins/waf/find-crs'
import { loadRules } from '#plugins/waf/seclang/load'
import { crsFolder, needsCrs } from './crs-folder.ts'

const folder = crsFolder()
const exceptions = new Map(
  Object.entries(
    JSON.parse(readFileSync(new URL('exceptions.json', import.meta.url), 'utf8')) as Record<
      string,
      string
    >,
  ),
)

test(
  'All regression tests of CRS v4.25.0 pass but the exceptions, each of which has its reason',
  needsCrs(),
  async () => {
    assert.ok(exceptions.size <= 10, 'too many exceptions')
    const { setup, rules } = findCrs(folder ?? '')
    const loaded = loadRules([
      join(folder ?? '', 'rules', '@coraza.conf-recommended'),
      ...setup,
      { name: '(settings)', text: testSettings },
      ...rules,
    ])
    const tests = readTests(join(folder ?? '', 'tests'))
    assert.equal(tests.length, 4674, 'not the tests of v4.25.0')
    const report = await runTests(compileRules(loaded, loaded.entries), tests, exceptions)
    assert.deepEqual(report.failures, [])
    assert.deepEqual(report.stale, [], 'exceptions that pass')
    assert.equal(report.passed + report.excepted.length, 4674)
  },
)
