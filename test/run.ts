/**
 * Runs all tests, in two ways side by side. Those of parts share one process a room, for most of what a test file costs is
 * loading what it tests. Those of whole programs (and of ports, memory and time) have a process each, three at a time, for they wait a lot.
 *
 * Run: npm run test:only [-- PATTERN…]   with patterns, those files alone, each in a process of its own
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'

const sharing = [
  'test/{architecture,config,contract,identity,k8s}/**/*.test.ts',
  'test/{http,exchange}/**/*.test.ts',
  'test/plugins/**/*.test.ts',
]
const alone = 'test/{cli,conformance,gateway,ways}/**/*.test.ts'
const timeout = '--test-timeout=120000'
const color = process.stdout.isTTY ? { FORCE_COLOR: '1' } : {}

/** What it prints appears when it has ended, so that two runs do not mix. */
const run = async (...args: readonly string[]): Promise<boolean> => {
  const child = spawn(process.execPath, ['--test', timeout, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...color },
  })
  const printed: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => printed.push(chunk))
  const [code] = (await once(child, 'close')) as [number | null]
  process.stdout.write(Buffer.concat(printed))
  return code === 0
}

const together = async (): Promise<boolean> => {
  let isGood = true
  for (const pattern of sharing) isGood = (await run('--test-isolation=none', pattern)) && isGood
  return isGood
}

const patterns = process.argv.slice(2)
const results = await Promise.all(
  patterns.length > 0
    ? [run('--test-concurrency=2', ...patterns)]
    : [together(), run('--test-concurrency=3', alone)],
)
process.exitCode = results.every(Boolean) ? 0 : 1
if (process.exitCode === 1) console.error('Some tests failed: look for ✖ above.')
