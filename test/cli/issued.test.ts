import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { promisify } from 'node:util'
import { run } from '#cli/issued'
import { alice, gateway } from '#test/exchange/fixtures'
import { startTestExchange, type TestExchange } from '#test/exchange/running-exchange'
import { commandHere } from './command-here.ts'

const started = promisify(execFile)
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

  const list = (...args: string[]) =>
    commandHere(run, ['list', '--admin', exchange.urls.admin, ...args])
  const issued = async (...args: string[]): Promise<string> => (await list(...args)).stdout

  test('shows who holds what until when, the earliest end first', async () => {
    const typed = [cli, 'issued', 'list', '--admin', exchange.urls.admin]
    const { stdout } = await started(process.execPath, typed)
    const [head = '', ...lines] = stdout.trimEnd().split('\n')
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
      const failed = await list(...args)
      assert.equal(failed.status, 1)
      assert.match(failed.stderr, /cannot be asked|answered 400/)
    }
    const { status, stderr } = await commandHere(run, [])
    assert.equal(status, 2)
    assert.match(stderr, /sallyport issued list \[/)
  })
})
