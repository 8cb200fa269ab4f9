import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const launcher = fileURLToPath(new URL('../../node.js', import.meta.url))
const program = `
  process.on('SIGTERM', () => { console.log('told to end'); process.exit() })
  setInterval(() => {}, 1000)
  console.log('runs')`

/** As npm runs a script: in a shell that waits for it. */
const inShellOfNpm = () =>
  spawn('sh', ['-c', `"$0" "$1" -e "$2"; true`, process.execPath, launcher, program], {
    env: { ...process.env, npm_lifecycle_event: 'demo' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })

test('what npm started ends with npm, whose shell passes no signal on', async () => {
  const shell = inShellOfNpm()
  let said = ''
  shell.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
  while (!said.includes('runs')) await once(shell.stdout, 'data')
  shell.kill('SIGTERM')
  await once(shell.stdout, 'close') // the program has it, too
  assert.match(said, /told to end/)
})

test('the exit code is that of what it ran', async () => {
  const child = spawn(process.execPath, [launcher, '-e', 'process.exit(7)'])
  const [code] = (await once(child, 'exit')) as [number]
  assert.equal(code, 7)
})
