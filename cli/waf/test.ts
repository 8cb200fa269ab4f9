import { readFileSync } from 'node:fs'
import { compileRules } from '#plugins/waf/engine/program'
import { readTests } from '#plugins/waf/ftw/read-tests'
import { runTests, testSettings, type TestReport } from '#plugins/waf/ftw/run-tests'
import { findCrs } from '#plugins/waf/find-crs'
import { loadRuleSet, recommendedFile, WafOptionsError } from '#plugins/waf/rule-set'
import { loadRules } from '#plugins/waf/seclang/load'
import { exitCodes } from '../command.ts'
import { optionsOf, type Given } from './given.ts'

/** `sallyport waf test`: go-ftw tests, in process. Fails if one does that is no exception. */
export const testRules = async (given: Given, folder: string): Promise<number> => {
  const tests = readTests(folder)
  if (tests.length === 0) throw new WafOptionsError([`there are no tests in ${folder}`])
  const program =
    given.crs === undefined ? loadRuleSet(optionsOf(given)).programFor() : crsProgram(given)
  const report = await runTests(program, tests, readExceptions(given.exceptions))
  process.stdout.write(given.json ? `${JSON.stringify(report, undefined, 2)}\n` : textOf(report))
  return report.failures.length === 0 ? exitCodes.done : exitCodes.faults
}

/** With the settings that CRS's tests ask for: they want every rule, and refusals only noted. */
const crsProgram = ({ crs = '', ruleFiles }: Given) => {
  const { setup, rules } = findCrs(crs)
  const settings = { name: '(settings)', text: testSettings }
  const bodies = { name: '(bodies)', text: 'SecRequestBodyAccess On\nSecResponseBodyAccess On' }
  const loaded = loadRules([recommendedFile, bodies, ...setup, settings, ...rules, ...ruleFiles])
  return compileRules(loaded, loaded.entries)
}

const readExceptions = (file: string | undefined): ReadonlyMap<string, string> =>
  new Map(
    file === undefined
      ? []
      : Object.entries(JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>),
  )

const textOf = ({ passed, failures, excepted, stale }: TestReport): string =>
  [
    ...failures.map(({ name, file, faults }) => `FAILED ${name}: ${faults.join(', ')} (${file})`),
    ...excepted.map(({ name, reason }) => `excepted ${name}: ${reason}`),
    ...stale.map((name) => `exception ${name} is not needed any more`),
    `${passed} passed, ${failures.length} failed, ${excepted.length} excepted`,
  ]
    .map((line) => `${line}\n`)
    .join('')
