import type { Program } from '../engine/program.ts'
import type { FtwTest } from './read-tests.ts'
import { runStage } from './run-stage.ts'

export type TestFailure = {
  readonly name: string
  readonly file: string
  readonly faults: readonly string[]
}
export type TestReport = {
  readonly passed: number
  readonly failures: readonly TestFailure[]
  /** Failures that were expected, with the reason. */
  readonly excepted: readonly (TestFailure & { readonly reason: string })[]
  /** Exceptions that passed after all: they are stale. */
  readonly stale: readonly string[]
}

/** Runs tests in process. `exceptions`: reasons by name of test. */
export const runTests = async (
  program: Program,
  tests: readonly FtwTest[],
  exceptions: ReadonlyMap<string, string> = new Map(),
): Promise<TestReport> => {
  let passed = 0
  const failures: TestFailure[] = []
  const excepted: (TestFailure & { reason: string })[] = []
  const stale: string[] = []
  for (const { name, file, stages } of tests) {
    const faults: string[] = []
    for (const [i, stage] of stages.entries())
      faults.push(...(await runStage(program, stage, `${name}.${i}`)))
    const reason = exceptions.get(name)
    if (faults.length === 0) {
      passed++
      if (reason !== undefined) stale.push(name)
    } else if (reason === undefined) failures.push({ name, file, faults })
    else excepted.push({ name, file, faults, reason })
  }
  return { passed, failures, excepted, stale }
}

/** What CRS's tests ask to be set. Comes after crs-setup and before the rules. */
export const testSettings = `
SecRuleEngine DetectionOnly
SecResponseBodyMimeType text/plain text/html text/xml application/json
SecDefaultAction "phase:3,log,auditlog,pass"
SecDefaultAction "phase:4,log,auditlog,pass"
SecDefaultAction "phase:5,log,auditlog,pass"
SecAction "id:900005,phase:1,nolog,pass,\\
  setvar:tx.blocking_paranoia_level=4,setvar:tx.crs_validate_utf8_encoding=1,\\
  setvar:tx.arg_name_length=100,setvar:tx.arg_length=400,setvar:tx.total_arg_length=64000,\\
  setvar:tx.max_num_args=255,setvar:tx.max_file_size=64100,setvar:tx.combined_file_sizes=65535"
`
