import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { promisify } from 'node:util'
import { alice, gateway } from '#test/exchange/fixtures'
import { startTestExchange, type TestExchange } from '#test/exchange/running-exchange'

const run = promisify(execFile)
const cli = join(import.meta.dirname, '../../cli/sallyport.ts')

suite('sallyport issued list', () => {
  let exchange: TestExchange
  before(async () => {
    exchange = await startTestExchange()
    const client = await exchange.join()
    for (let i = 0; i < 2; i++)
      await exchange.exchangeToken({ subject_token: await exchange.subjectToken() }, client)
  })
  after(() => exchange.stop())

  const issued = async (...args: string[]): Promise<string> => {
    const admin = ['--admin', exchange.urls.admin]
    return (await run(process.execPath, [cli, 'issued', 'list', ...admin, ...args])).stdout
  }

  test('shows who holds what until when, the earliest end first', async () => {
    const [head = '', ...lines] = (await issued()).trimEnd().split('\n')
    assert.match(head, /^expiresAt +kind +subject +client +audience +id$/)
    assert.equal(lines.pop(), '3 issued and not ended')
    assert.deepEqual(
      lines.map((line) => line.split(/ +/).slice(1, 4)),
      [
        ['jwt-svid', alice, gateway],
        ['jwt-svid', alice, gateway],
        ['x509-svid', gateway, 'join-token'],
      ],
    )
    const ends = lines.map((line) => line.split(' ')[0] ?? '')
    assert.deepEqual(ends, ends.toSorted())
  })

  test('picks by subject and kind, and gives the same to scripts as JSON', async () => {
    const all = JSON.parse(await issued('--json', '--subject', alice)) as {
      total: number
      issued: { subject: string; kind: string; revoked: boolean }[]
    }
    assert.equal(all.total, 2)
    assert.ok(all.issued.every(({ subject, revoked }) => subject === alice && !revoked))
    assert.match(await issued('--kind', 'txn-token'), /^0 issued and not ended$/m)
  })

  test('fails, and says so, where nobody answers or the question is none', async () => {
    for (const args of [
      ['--admin', 'http://127.0.0.1:1'],
      ['--kind', 'passport'],
    ]) {
      const failed = await issued(...args).catch((error: { code: number; stderr: string }) => error)
      assert.ok(typeof failed === 'object' && failed.code === 1)
      assert.match(failed.stderr, /cannot be asked|answered 400/)
    }
    const { status, stderr } = spawnSync(process.execPath, [cli, 'issued'], { encoding: 'utf8' })
    assert.equal(status, 2)
    assert.match(stderr, /sallyport issued list \[/)
  })
})
