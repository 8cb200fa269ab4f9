import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { run } from '#cli/demo/demo'
import { demoPorts, takenPorts } from '#cli/demo/ports'
import { commandHere } from '#test/cli/command-here'

const command = fileURLToPath(new URL('../../cli/sallyport.ts', import.meta.url))

const demo = (...args: readonly string[]) =>
  new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    const child = execFile(process.execPath, [command, 'demo', ...args], (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    )
  })

const base = () => String(10_000 + randomInt(22_000))

test('every stop of `demo --once` goes as described', async () => {
  const { code, stdout, stderr } = await demo('--once', '--port-base', base())
  assert.equal(code, 0, stdout + stderr)
  assert.match(stdout, /All \d+ stops went as described/)
})

test('when the terminal goes away, nothing of the demo stays', async () => {
  const port = base()
  // In a process group of its own: a terminal that closes tells all of it.
  const child = spawn(process.execPath, [command, 'demo', '--json', '--port-base', port], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  const [line] = (await Promise.race([once(child.stdout, 'data'), ended])) as [unknown]
  assert.ok(line instanceof Buffer, 'the demo did not start')
  const { caFile } = JSON.parse(line.toString()) as { caFile: string }
  assert.ok(existsSync(caFile))
  process.kill(-(child.pid ?? 0), 'SIGHUP')
  await ended
  assert.equal(existsSync(dirname(caFile)), false)
  assert.deepEqual(await takenPorts(demoPorts(Number(port))), [])
})

test('a taken port is a message, not a stack', async () => {
  const server = createServer()
  const taken = Number(base())
  await once(server.listen(taken, '127.0.0.1'), 'listening')
  const { status, stderr } = await commandHere(run, ['--once', '--port-base', String(taken)])
  server.close()
  assert.equal(status, 1)
  assert.match(stderr, new RegExp(`Something else listens on ${taken} \\(ingress\\)`))
  assert.doesNotMatch(stderr, /\n {4}at /)
})

for (const args of [['--onec'], ['--once', '--json'], ['--port-base', '80'], ['extra']])
  test(`\`demo ${args.join(' ')}\` is not understood, and says so`, async () => {
    const { status, stderr } = await commandHere(run, args)
    assert.equal(status, 2)
    assert.match(stderr, /sallyport demo \[--once/)
  })
