import { spawnSync } from 'node:child_process'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** The OPA that the committed bundle is built with: `go install github.com/open-policy-agent/opa@v1.22.3`. */
export const opaVersion = '1.22.3'

/**
 * Where OPA is: the one named, the one that `.ci/run` keeps, or one on the PATH.
 *
 * @returns undefined if there is none of this version.
 */
export const findOpa = (named?: string): string | undefined =>
  [named, join(homedir(), '.cache/sallyport/bin/opa'), 'opa'].find(
    (path) => path !== undefined && versionOf(path) === opaVersion,
  )

const versionOf = (path: string): string | undefined => {
  const { stdout } = spawnSync(path, ['version'], { encoding: 'utf8' })
  return /^Version: (\S+)$/m.exec(stdout ?? '')?.[1]
}

/** Runs OPA, which prints what it finds wrong. Its report of what tests reach is long, so that is not shown. */
export const opaSucceeds = (opa: string, args: readonly string[], cwd: string): boolean => {
  const stdout = args.includes('--coverage') ? 'ignore' : 'inherit'
  return spawnSync(opa, args, { cwd, stdio: ['ignore', stdout, 'inherit'] }).status === 0
}
