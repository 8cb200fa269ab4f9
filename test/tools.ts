import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'

const tools = process.env['SALLYPORT_TOOLS'] ?? join(homedir(), '.cache/sallyport')
const places = [
  join(tools, 'bin'),
  join(tools, 'python/bin'),
  ...(process.env['PATH'] ?? '').split(delimiter),
  '/usr/sbin',
]

/** Where a tool that a test can use is, if it is on this machine. */
export const findTool = (name: string): string | undefined =>
  places.map((place) => join(place, name)).find((path) => existsSync(path))

/** A file or folder that `.ci/run` puts beside the tools, such as the Core Rule Set. */
export const findToolData = (name: string): string | undefined =>
  [join(tools, name)].find((path) => existsSync(path))

/**
 * Why a test cannot run here, for `test(name, { skip })`. On a developer's machine a missing tool is a visible skip; where
 * `.ci/run` has installed them all it is a failure.
 */
export const without = (
  found: Readonly<Record<string, string | undefined>>,
): { readonly skip?: string } => {
  const missing = Object.keys(found).filter((name) => found[name] === undefined)
  if (missing.length === 0) return {}
  const reason = `not on this machine: ${missing.join(', ')}`
  if (process.env['SALLYPORT_REQUIRE_TOOLS']) throw new Error(reason)
  return { skip: reason }
}
