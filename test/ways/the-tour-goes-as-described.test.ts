import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

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

test('a taken port is a message, not a stack', async () => {
  const server = createServer()
  const taken = Number(base())
  await once(server.listen(taken, '127.0.0.1'), 'listening')
  const { code, stderr } = await demo('--once', '--port-base', String(taken))
  server.close()
  assert.equal(code, 1)
  assert.match(stderr, new RegExp(`Something else listens on ${taken} \\(ingress\\)`))
  assert.doesNotMatch(stderr, /\n {4}at /)
})

for (const args of [['--onec'], ['--once', '--json'], ['--port-base', '80'], ['extra']])
  test(`\`demo ${args.join(' ')}\` is not understood, and says so`, async () => {
    const { code, stderr } = await demo(...args)
    assert.equal(code, 2)
    assert.match(stderr, /sallyport demo \[--once/)
  })
