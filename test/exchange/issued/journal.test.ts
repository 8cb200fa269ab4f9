import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { noLog } from '#contract/telemetry'
import { tokenTypes } from '#contract/token-exchange'
import type { Issued } from '#exchange/issued/issued'
import { issuedJournalIn } from '#exchange/issued/journal'
import { issuedRegister } from '#exchange/issued/register'
import { noRevocations } from '#exchange/issued/revocations'
import {
  basic,
  mainframeSecret,
  startExchangeWithClients,
  type ExchangeWithClients,
} from '../clients/exchange-with-clients.ts'
import { eventually } from '#test/ways/rig'
import { alice, fakeClock } from '../fixtures.ts'

const folders: string[] = []
const newFolder = () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-issued-'))
  folders.push(folder)
  return folder
}
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true })
})

const headers = basic('mainframe', mainframeSecret)
const tokenFrom = async (exchange: ExchangeWithClients, subjectToken?: string) => {
  const answer = await exchange.post(
    '/token',
    await exchange.form(
      subjectToken === undefined
        ? {}
        : { subject_token: subjectToken, subject_token_type: tokenTypes.accessToken },
    ),
    { headers },
  )
  assert.equal(answer.status, 200, answer.body.toString())
  return String(answer.json()['access_token'])
}
const isActive = async (exchange: ExchangeWithClients, token: string) =>
  (await exchange.post('/introspect', { token }, { headers })).json()['active']

suite('after a restart of the exchange', () => {
  test('revoking a token reaches what came from it before, and what came from that', async () => {
    const ca = { store: { directory: newFolder() } }
    const first = await startExchangeWithClients({ ca })
    const parent = await tokenFrom(first)
    const child = await tokenFrom(first, parent)
    const grandchild = await tokenFrom(first, child)
    const stranger = await tokenFrom(first)
    await first.stop()

    const second = await startExchangeWithClients({ ca })
    const later = await tokenFrom(second, grandchild)
    const family = [parent, child, grandchild, later]
    for (const token of [...family, stranger]) assert.equal(await isActive(second, token), true)
    assert.equal((await second.post('/revoke', { token: parent }, { headers })).status, 200)
    for (const token of family) assert.equal(await isActive(second, token), false)
    assert.equal(await isActive(second, stranger), true)
    await second.stop()

    const text = readdirSync(join(ca.store.directory, 'issued'))
      .map((name) => readFileSync(join(ca.store.directory, 'issued', name), 'utf8'))
      .join('')
    assert.ok(text.includes('"kind":"access-token"') && !text.includes('eyJ'), 'no token is in it')
  })

  test('operators still see who holds what, and can take it back by its id', async () => {
    const ca = { store: { directory: newFolder() } }
    const first = await startExchangeWithClients({ ca })
    const parent = await tokenFrom(first)
    const child = await tokenFrom(first, parent)
    await first.stop()

    const second = await startExchangeWithClients({ ca })
    const listed = async () => {
      const answer = await fetch(`${second.urls.admin}/issued?kind=access-token`)
      return (await answer.json()) as { issued: { id: string; revoked: boolean }[] }
    }
    const { issued } = await listed()
    assert.equal(issued.length, 2)
    const id = JSON.parse(Buffer.from(parent.split('.')[1] ?? '', 'base64url').toString()).jti
    const order = await fetch(`${second.urls.admin}/issued/revoke`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ id }),
    })
    assert.equal(order.status, 200, await order.text())
    assert.ok((await listed()).issued.every(({ revoked }) => revoked))
    assert.equal(await isActive(second, child), false)
    await second.stop()
  })
})

const print = (text: string) => createHash('sha256').update(text).digest('base64url')
const one = (id: string, more: Partial<Issued> = {}): Issued => ({
  id,
  kind: 'access-token',
  subject: alice,
  client: 'batch',
  audience: 'https://a.example',
  kid: 'k',
  issuedAtMs: Date.UTC(2026, 10, 25, 12),
  expiresAtMs: Date.UTC(2026, 10, 25, 12, 5),
  parent: '',
  fingerprint: print(id),
  ...more,
})

suite('what was issued is kept in files', () => {
  const filesIn = (folder: string) => readdirSync(join(folder, 'issued'))
  const openIn = async (folder: string, clock: () => number, maxEntries = 100) => {
    const journal = issuedJournalIn(folder, maxEntries, clock, noLog)
    return { journal, issued: await journal.load() }
  }
  const idsOf = (all: readonly Issued[]) => all.map(({ id }) => id)

  test('for us alone, in the order in which it was issued, until it ends', async () => {
    const folder = newFolder()
    const { clock, pass } = fakeClock()
    const { journal } = await openIn(folder, clock)
    const written = await Promise.all(
      ['a', 'b', 'c'].map((id) =>
        journal.add(one(id, { expiresAtMs: clock() + (id === 'b' ? 1000 : 60_000) })),
      ),
    )
    assert.deepEqual(written, [true, true, true])
    await journal.close()
    const [name = ''] = filesIn(folder)
    assert.equal(statSync(join(folder, 'issued', name)).mode & 0o777, 0o600)
    assert.equal(statSync(join(folder, 'issued')).mode & 0o777, 0o700)
    assert.deepEqual(idsOf((await openIn(folder, clock)).issued), ['a', 'b', 'c'])
    pass(2000)
    assert.deepEqual(idsOf((await openIn(folder, clock)).issued), ['a', 'c'])
    pass(60_000)
    assert.deepEqual((await openIn(folder, clock)).issued, [])
    assert.deepEqual(filesIn(folder), [], 'a file all of which has ended is gone')
  })

  test('a file of ten minutes at a time, deleted when all that is in it has ended', async () => {
    const folder = newFolder()
    const { clock, pass } = fakeClock()
    const { journal } = await openIn(folder, clock)
    const issue = (id: string, livesMs: number) =>
      journal.add(one(id, { issuedAtMs: clock(), expiresAtMs: clock() + livesMs }))
    await issue('long', 3_600_000)
    for (let i = 0; i < 5; i++) {
      pass(600_000)
      await issue(`short-${i}`, 60_000)
    }
    assert.equal(filesIn(folder).length, 2, 'that of the long one, and the newest')
    await journal.close()
    assert.deepEqual(idsOf((await openIn(folder, clock)).issued), ['long', 'short-4'])
  })

  test('no more of it than the register remembers, whatever is issued', async () => {
    const folder = newFolder()
    const { clock } = fakeClock()
    const { journal } = await openIn(folder, clock, 1000)
    for (let i = 0; i < 10_000; i += 500)
      await Promise.all(Array.from({ length: 500 }, (_, at) => journal.add(one(`id-${i + at}`))))
    await journal.close()
    assert.ok(filesIn(folder).length <= 3, String(filesIn(folder).length))
    const { issued } = await openIn(folder, clock, 1000)
    assert.equal(issued.length, 1000)
    assert.equal(issued.at(-1)?.id, 'id-9999')
  })

  test('a line that was not whole when the process was killed is nobody’s', async () => {
    const folder = newFolder()
    const { clock } = fakeClock()
    const { journal } = await openIn(folder, clock)
    await journal.add(one('a'))
    await journal.close()
    const [name = ''] = filesIn(folder)
    appendFileSync(join(folder, 'issued', name), '{"id":"b","ki')
    const again = await openIn(folder, clock)
    assert.deepEqual(idsOf(again.issued), ['a'])
    await again.journal.add(one('c'))
    await again.journal.close()
    assert.deepEqual(idsOf((await openIn(folder, clock)).issued), ['a', 'c'])
  })

  for (const [what, line] of [
    ['no JSON', 'x'],
    ['no object', 'null'],
    ['another id', JSON.stringify({ ...one('a'), id: '../a' })],
    ['no end', JSON.stringify({ ...one('a'), expiresAtMs: null })],
    ['a subject that is none', JSON.stringify({ ...one('a'), subject: 'alice' })],
    ['a parent that is none', JSON.stringify({ ...one('a'), parent: 'p' })],
  ] as const)
    test(`a line with ${what} stops the start, with the file, the line and the remedy`, async () => {
      const folder = newFolder()
      const { clock } = fakeClock()
      const { journal } = await openIn(folder, clock)
      await journal.add(one('first'))
      await journal.close()
      const [name = ''] = filesIn(folder)
      const file = join(folder, 'issued', name)
      appendFileSync(file, `${line}\n`)
      await assert.rejects(openIn(folder, clock), (error: Error) => {
        assert.ok(error.message.startsWith(`${file}:2 is damaged`), error.message)
        return error.message.includes('Remedy')
      })
    })

  test('on the disk itself within a second, all of that second at once, and when it ends', async (t) => {
    const folder = newFolder()
    const handle = await open(folder)
    const prototype = Object.getPrototypeOf(handle) as typeof handle
    await handle.close()
    const synced = t.mock.method(prototype, 'datasync')
    const { clock } = fakeClock()
    const { journal } = await openIn(folder, clock)
    for (let i = 0; i < 20; i++) await journal.add(one(`id-${i}`))
    await eventually(() => (synced.mock.callCount() > 0 ? true : undefined))
    assert.ok(synced.mock.callCount() < 10, 'each waited for a sync of its own')
    const before = synced.mock.callCount()
    await journal.add(one('last'))
    await journal.close()
    assert.ok(synced.mock.callCount() > before)
  })

  test('what cannot be written is not given out', async () => {
    const folder = newFolder()
    const { clock } = fakeClock()
    const { journal } = await openIn(folder, clock)
    rmSync(join(folder, 'issued'), { recursive: true })
    writeFileSync(join(folder, 'issued'), '')
    const register = issuedRegister(100, clock, {
      revocations: noRevocations,
      revoked: new Map(),
      journal,
      issued: [],
    })
    assert.equal(await register.add(one('a')), 'unwritable')
  })
})

suite('a token that is taken back while another is made of it', () => {
  test('has no child: before it is registered', async () => {
    const { clock } = fakeClock()
    const register = issuedRegister(100, clock)
    await register.add(one('parent'))
    await register.revoke('parent', one('parent').expiresAtMs)
    assert.equal(await register.add(one('child', { parent: print('parent') })), 'parent-revoked')
    assert.equal(await register.add(one('other', { parent: print('stranger') })), 'registered')
  })

  test('has no child: while that is written', async () => {
    const { clock } = fakeClock()
    let written = (_isWritten: boolean) => {}
    const slow = {
      load: async () => [],
      add: () => new Promise<boolean>((resolve) => (written = resolve)),
      close: async () => {},
    }
    const register = issuedRegister(100, clock, {
      revocations: noRevocations,
      revoked: new Map(),
      journal: slow,
      issued: [one('parent')],
    })
    const added = register.add(one('child', { parent: print('parent') }))
    await register.revoke('parent', one('parent').expiresAtMs)
    written(true)
    assert.equal(await added, 'parent-revoked')
  })

  test('has none either if the register has forgotten it, and its holder brings it to /revoke', async () => {
    const { clock } = fakeClock()
    const register = issuedRegister(100, clock)
    await register.add(one('child', { parent: print('parent') }))
    await register.revoke('parent', one('parent').expiresAtMs, print('parent'))
    assert.ok(register.isRevoked('child'))
  })
})

test('an exchange whose disk is gone gives out no token, and says so', async () => {
  const ca = { store: { directory: newFolder() } }
  const exchange = await startExchangeWithClients({ ca })
  await tokenFrom(exchange)
  exchange.passTime(601_000) // the next one begins a new file
  rmSync(join(ca.store.directory, 'issued'), { recursive: true })
  const answer = await exchange.post(
    '/token',
    await exchange.form({
      subject_token: await exchange.subjectToken({
        iat: Math.floor(Date.now() / 1000) + 601,
        exp: Math.floor(Date.now() / 1000) + 901,
      }),
    }),
    { headers },
  )
  assert.equal(answer.status, 503)
  assert.equal(answer.json()['problem'], 'audit-unavailable')
  assert.equal(answer.headers['retry-after'], '60')
  await exchange.stop()
})
