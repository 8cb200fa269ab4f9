/**
 * Runs all tests. Most of what a test file costs is loading what it tests, so test files share processes: those of parts a
 * room, those of whole programs as many as wait for much the same. Only files that look at what a process has as a whole,
 * such as its memory, have one each. Some such processes run side by side.
 *
 * Run: npm run test:only [-- PATTERN…]   with patterns, those files alone, each in a process of its own
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync } from 'node:fs'
import { resolve } from 'node:path'

/**
 * They look at a whole process: its memory, its load, its clock, what it did not handle; or they take the machine for
 * themselves.
 */
const alone = [
  'test/ways/a-busy-gateway-says-so.test.ts',
  'test/ways/a-websocket-passes.test.ts',
  'test/ways/each-dependency-fails.test.ts',
  'test/ways/the-built-package-serves.test.ts',
  'test/ways/the-clock-jumps.test.ts',
  'test/ways/the-tour-goes-as-described.test.ts',
]
const filesOf = (...rooms: readonly string[]) =>
  globSync(rooms.map((room) => `test/${room}/**/*.test.ts`))
    .toSorted()
    .filter((file) => !alone.includes(file))
const ways = filesOf('ways')

/** Files that share a process, those that take longest first: whoever is done with one takes the next. */
const shared: readonly (readonly string[])[] = [
  ways.filter((_, i) => i % 2 === 0),
  ways.filter((_, i) => i % 2 === 1),
  filesOf('http'),
  filesOf('exchange'),
  filesOf('gateway/egress'),
  filesOf('architecture', 'config', 'contract', 'identity', 'k8s'),
  filesOf('cli', 'conformance'),
  filesOf('plugins'),
  filesOf('gateway').filter((file) => !file.startsWith('test/gateway/egress/')),
]
/** More than two cores need, for they wait a lot. */
const atOnce = 5
const color = process.stdout.isTTY ? { FORCE_COLOR: '1' } : {}
/** Processes load the same modules: what Node made of one's source, the next need not make again. */
const compileCache = { NODE_COMPILE_CACHE: resolve('node_modules/.cache/node') }

/** What it prints appears when it has ended, so that two runs do not mix. */
const run = async (...args: readonly string[]): Promise<boolean> => {
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...color, ...compileCache },
  })
  const printed: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => printed.push(chunk))
  const [code] = (await once(child, 'close')) as [number | null]
  process.stdout.write(Buffer.concat(printed))
  return code === 0
}

const known = new Set([...shared.flat(), ...alone])
const left = globSync('test/**/*.test.ts').filter((file) => !known.has(file))
if (left.length > 0) throw new Error(`In no room that is run: ${left.join(', ')}`)

const eachAlone = (concurrency: number, files: readonly string[]) => () =>
  run('--test', '--test-timeout=300000', `--test-concurrency=${concurrency}`, ...files)
const patterns = process.argv.slice(2)
const waiting =
  patterns.length > 0
    ? [eachAlone(2, patterns)]
    : [eachAlone(1, alone), ...shared.map((files) => () => run('test/together.ts', ...files))]

let isGood = true
const work = async (): Promise<void> => {
  for (let next = waiting.shift(); next; next = waiting.shift()) isGood = (await next()) && isGood
}
await Promise.all(Array.from({ length: atOnce }, work))
process.exitCode = isGood ? 0 : 1
if (!isGood) console.error('Some tests failed: look for ✖ above.')
