/**
 * Coverage-guided fuzzing with Jazzer.js, which is libFuzzer for JavaScript. What it finds interesting is kept in
 * `.cache/fuzz/TARGET/`, and what it finds wrong in `.cache/fuzz/TARGET-crash-…`.
 *
 * Run: npm ci --prefix test/fuzz/jazzer && npm run fuzz -- [--seconds 60] [--seed 1] [TARGET …]
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, globSync, mkdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { loadable } from './jazzer/older-glibc.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
  },
})
const root = fileURLToPath(new URL('../..', import.meta.url))
const jazzer = join(root, 'test/fuzz/jazzer')
const all = globSync(join(root, 'test/fuzz/*.fuzz.ts')).map((file) => basename(file, '.fuzz.ts'))
const targets = positionals.length > 0 ? positionals : all.toSorted()
const unknown = targets.filter((target) => !all.includes(target))
if (unknown.length > 0) fail(`There is no ${unknown.join(', ')}, but ${all.join(', ')}.`)
const program = join(jazzer, 'node_modules/@jazzer.js/core/dist/cli.js')
if (!existsSync(program)) fail('First: npm ci --prefix test/fuzz/jazzer')

function fail(why: string): never {
  console.error(why)
  process.exit(1)
}

/** A corpus to begin with: what the target says, each by its hash. */
const sow = async (target: string): Promise<string> => {
  const folder = join(root, '.cache/fuzz', target)
  mkdirSync(folder, { recursive: true })
  const module = pathToFileURL(join(root, `test/fuzz/${target}.fuzz.ts`)).href
  const { seeds } = (await import(module)) as { seeds: readonly string[] }
  for (const seed of seeds) {
    const name = createHash('sha1').update(seed, 'latin1').digest('hex')
    writeFileSync(join(folder, name), seed, 'latin1')
  }
  return folder
}

const environment = { ...process.env, ...loadable() }
let failed = 0
for (const target of targets) {
  const corpus = await sow(target)
  const { status, output } = spawnSync(
    process.execPath,
    [
      '--no-warnings',
      '--import',
      join(jazzer, 'register.js'),
      program,
      `test/fuzz/${target}.fuzz.ts`,
      corpus,
      '--instrumentation_includes',
      'plugins/waf',
      // They would find words that rules are made of, such as `/etc/passwd`.
      '--disableBugDetectors',
      '.*',
      '--',
      `-max_total_time=${values.seconds}`,
      `-seed=${values.seed}`,
      `-artifact_prefix=${corpus}-`,
      '-timeout=5',
      '-max_len=4096',
    ],
    { cwd: root, env: environment, encoding: 'utf8', maxBuffer: 2 ** 28 },
  )
  const said = output.join('\n')
  // The last line that came through: at its end the fuzzer does not wait for a pipe to take everything.
  const runs = Number([...said.matchAll(/^#(\d+)\t/gm)].at(-1)?.[1] ?? 0)
  const edges = Math.max(...[...said.matchAll(/ cov: (\d+)/g)].map((found) => Number(found[1])))
  console.log(`${target}: ${runs} inputs reached ${edges} edges`)
  if (status === 0 && runs > 0) continue
  failed++
  console.log(said.slice(-6000))
}
process.exitCode = failed === 0 ? 0 : 1
