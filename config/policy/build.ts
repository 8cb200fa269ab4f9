/**
 * Builds the bundle of the policy in this folder, or checks that the committed one is what the sources give.
 *
 *     node node.js config/policy/build.ts [--check] [--opa PATH]
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { findOpa, opaSucceeds, opaVersion } from './opa.ts'
import { readsOf } from './reads.ts'
import {
  bundleFile,
  policyDirectory,
  revisionOf,
  sha256,
  sourcesFile,
  sourcesIn,
} from './sources.ts'

const capabilities = ['--capabilities', 'capabilities.json']
const withoutBundle = ['--ignore', 'bundle'] // it holds the sources, too
const withoutTests = [...withoutBundle, '--ignore', '*_test.rego']

const entrypoints = ['sallyport/decision', 'sallyport/exchange', 'sallyport/egress']

/**
 * Twice: what is said of the module in the manifest names it by its digest. It is written where the bundle is built, and not beside
 * the sources: who changes those and builds them by other means must not be told what the policy read before.
 */
const build = (opa: string, target: string): boolean => {
  const sources = sourcesIn(policyDirectory)
  const revision = revisionOf(opaVersion, sources)
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-policy-build-'))
  const buildThere = (): boolean => {
    const named = entrypoints.flatMap((entrypoint) => ['-e', entrypoint])
    const how = ['-t', 'wasm', ...named, ...capabilities, '--revision', revision]
    return runs(opa, ['build', ...how, '-o', target, '-b', '.'], folder)
  }
  try {
    for (const name of Object.keys(sources))
      copyFileSync(join(policyDirectory, name), join(folder, name))
    if (!buildThere()) return false
    const wasm = moduleDigest(target)
    const reads = Object.fromEntries(
      entrypoints.map((entrypoint) => [
        entrypoint,
        readsOf(opa, policyDirectory, Object.keys(sources), entrypoint),
      ]),
    )
    const metadata = { sallyport: { wasm, reads } }
    writeFileSync(join(folder, '.manifest'), JSON.stringify({ roots: [''], metadata }))
    return buildThere() && moduleDigest(target) === wasm
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const moduleDigest = (bundle: string): string =>
  sha256(
    execFileSync('tar', ['-xzOf', bundle, '/policy.wasm'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      maxBuffer: 64 * 1024 * 1024,
    }),
  )

/** Form, types and tests of the sources; every line of every rule is reached by a test. */
const sourcesAreSound = (opa: string): boolean =>
  runs(opa, ['fmt', '--fail', '--list', '.']) &&
  runs(opa, ['check', '--strict', ...capabilities, ...withoutTests, '.']) &&
  runs(opa, ['check', '--strict', ...withoutBundle, '.']) &&
  runs(opa, ['test', ...withoutBundle, '.']) &&
  runs(opa, ['test', '--coverage', '--threshold', '100', ...withoutBundle, '.'])

const runs = (opa: string, args: readonly string[], folder = policyDirectory): boolean => {
  if (opaSucceeds(opa, args, folder)) return true
  process.stderr.write(`failed in config/policy: opa ${args.join(' ')}\n`)
  return false
}

const describeSources = (): string => {
  const sources = sourcesIn(policyDirectory)
  const described = { opa: opaVersion, revision: revisionOf(opaVersion, sources), sources }
  return `${JSON.stringify(described, undefined, 2)}\n`
}

/** Compares what is in the archives; how they are compressed depends on the Go that OPA was built with. */
const isCommitted = (opa: string): boolean => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-policy-'))
  try {
    const built = join(directory, 'bundle.tar.gz')
    return (
      build(opa, built) &&
      gunzipSync(readFileSync(built)).equals(gunzipSync(readFileSync(bundleFile))) &&
      readFileSync(sourcesFile, 'utf8') === describeSources()
    )
  } finally {
    rmSync(directory, { recursive: true })
  }
}

const run = (): string | undefined => {
  const { values } = parseArgs({ options: { check: { type: 'boolean' }, opa: { type: 'string' } } })
  const opa = findOpa(values.opa)
  if (opa === undefined)
    return `OPA ${opaVersion} is not here: go install github.com/open-policy-agent/opa@v${opaVersion}, or --opa PATH`
  if (!sourcesAreSound(opa)) return 'the policy is not sound'
  if (values.check)
    return isCommitted(opa)
      ? undefined
      : 'config/policy/bundle is not what its sources give: run `node node.js config/policy/build.ts` and commit it'
  mkdirSync(dirname(bundleFile), { recursive: true })
  if (!build(opa, bundleFile)) return 'the policy was not built'
  writeFileSync(sourcesFile, describeSources())
  return undefined
}

const fault = run()
if (fault !== undefined) {
  process.stderr.write(`${fault}\n`)
  process.exitCode = 1
}
