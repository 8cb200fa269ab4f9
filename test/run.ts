/**
 * Runs all tests, in two ways side by side. Those of parts share one process a room, for most of what a test file costs is
 * loading what it tests. Those of whole programs have a process each, three at a time, for they wait a lot.
 *
 * Run: npm run test:only [-- PATTERN…]   with patterns, those files alone, each in a process of its own
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync } from 'node:fs'
import { resolve } from 'node:path'

/** Two lines of processes, one after the other in each; the rooms of one process together. */
const sharing = [
  [['architecture', 'config', 'contract', 'identity', 'k8s'], ['plugins']],
  [['http'], ['exchange']],
] as const
const alone = ['cli', 'conformance', 'gateway', 'ways']
const filesOf = (rooms: readonly string[]) => rooms.map((room) => `test/${room}/**/*.test.ts`)
const timeout = '--test-timeout=120000'
const color = process.stdout.isTTY ? { FORCE_COLOR: '1' } : {}
/** Hundreds of processes load the same modules: what Node made of one's source, the next need not make again. */
const compileCache = { NODE_COMPILE_CACHE: resolve('node_modules/.cache/node') }

/** What it prints appears when it has ended, so that two runs do not mix. */
const run = async (...args: readonly string[]): Promise<boolean> => {
  const child = spawn(process.execPath, ['--test', timeout, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...color, ...compileCache },
  })
  const printed: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => printed.push(chunk))
  const [code] = (await once(child, 'close')) as [number | null]
  process.stdout.write(Buffer.concat(printed))
  return code === 0
}

const inTurn = async (line: readonly (readonly string[])[]): Promise<boolean> => {
  let isGood = true
  for (const rooms of line)
    isGood = (await run('--test-isolation=none', ...filesOf(rooms))) && isGood
  return isGood
}

const known = new Set([...sharing.flat(2), ...alone])
const left = globSync('test/**/*.test.ts').filter((file) => !known.has(file.split('/')[1] ?? ''))
if (left.length > 0) throw new Error(`In no room that is run: ${left.join(', ')}`)

const patterns = process.argv.slice(2)
const results = await Promise.all(
  patterns.length > 0
    ? [run('--test-concurrency=2', ...patterns)]
    : [...sharing.map(inTurn), run('--test-concurrency=3', ...filesOf(alone))],
)
process.exitCode = results.every(Boolean) ? 0 : 1
if (process.exitCode === 1) console.error('Some tests failed: look for ✖ above.')
