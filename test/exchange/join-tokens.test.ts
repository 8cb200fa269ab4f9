import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { inspect } from 'node:util'
import { noLog } from '#contract/telemetry'
import { removeSpent, writeJoinTokens } from '#exchange/join-token-files'
import { memoryJoinTokens, type JoinTokens } from '#exchange/join-tokens'
import { alice, fakeClock, gateway } from './fixtures.ts'

const issue = (tokens: JoinTokens, lifetimeSeconds = 600, id = gateway): string => {
  const issued = tokens.issue(id, lifetimeSeconds)
  assert.ok(issued.ok)
  return issued.value.token.reveal()
}

suite('a join token', () => {
  test('is good once, for whom it was issued (SPIRE 1.14.6)', () => {
    const tokens = memoryJoinTokens(Date.now, randomBytes)
    const [first, second] = [issue(tokens), issue(tokens, 600, alice)]
    assert.equal(tokens.find(first), gateway)
    assert.equal(tokens.find(first), gateway, 'looking does not spend it')
    assert.equal(tokens.spend(second), alice)
    assert.equal(tokens.spend(second), undefined)
    assert.equal(tokens.find(second), undefined)
    assert.equal(tokens.spend(first), gateway)
    assert.equal(tokens.outstanding(), 0)
  })

  test('is good for as long as was said and not a millisecond more', () => {
    const { clock, pass } = fakeClock()
    const tokens = memoryJoinTokens(clock, randomBytes)
    const token = issue(tokens)
    pass(599_999)
    assert.equal(tokens.find(token), gateway)
    pass(1)
    assert.equal(tokens.find(token), undefined)
    assert.equal(tokens.spend(token), undefined)
  })

  test('that is not one is nobody, whatever it looks like', () => {
    const tokens = memoryJoinTokens(Date.now, randomBytes)
    const token = issue(tokens)
    for (const other of [
      '',
      token.slice(0, -1),
      `${token} `,
      token.toUpperCase(),
      '\0',
      'é'.repeat(100),
    ])
      assert.equal(tokens.spend(other), undefined)
    assert.equal(tokens.spend(token), gateway)
  })

  test('is not kept: what is in memory shows no token', () => {
    const tokens = memoryJoinTokens(Date.now, randomBytes)
    const issued = tokens.issue(gateway, 600)
    assert.ok(issued.ok)
    const token = issued.value.token.reveal()
    assert.ok(!inspect([tokens, issued], { depth: 10, showHidden: true }).includes(token))
    assert.match(token, /^sallyport-join-[\w-]{43}$/)
  })

  test('is refused when a thousand are outstanding, until some are spent or over', () => {
    const { clock, pass } = fakeClock()
    const tokens = memoryJoinTokens(clock, randomBytes)
    for (let i = 0; i < 1000; i++) issue(tokens)
    const refused = tokens.issue(gateway, 600)
    assert.ok(!refused.ok && refused.problem.tag === 'rate-exceeded')
    pass(600_000)
    assert.ok(tokens.issue(gateway, 600).ok)
  })

  test('is written to its file with mode 600, and the file goes when it is spent', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sallyport-join-'))
    const file = join(folder, 'token')
    const files = [{ spiffeId: gateway, file, lifetimeSeconds: 600 }]
    const tokens = memoryJoinTokens(Date.now, randomBytes)
    await writeJoinTokens(files, tokens)
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    const token = (await readFile(file, 'utf8')).trim()
    assert.equal(tokens.find(token), gateway)
    await removeSpent(files, 'another token', noLog)
    assert.ok(await stat(file), 'another token was spent, not this one')
    await removeSpent(files, token, noLog)
    await assert.rejects(stat(file), { code: 'ENOENT' })
    await rm(folder, { recursive: true })
  })

  test('that cannot be written says which file and what to do', async () => {
    const files = [{ spiffeId: gateway, file: '/nonexistent/token', lifetimeSeconds: 600 }]
    await assert.rejects(
      writeJoinTokens(files, memoryJoinTokens(Date.now, randomBytes)),
      /^Error: \/nonexistent\/token: .*ENOENT.*Remedy/,
    )
  })
})
