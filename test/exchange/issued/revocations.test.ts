import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { decodeJwt } from 'jose'
import { noLog } from '#contract/telemetry'
import type { Issued } from '#exchange/issued/issued'
import { noIssuedJournal } from '#exchange/issued/journal'
import { issuedRegister } from '#exchange/issued/register'
import { revocationsIn } from '#exchange/issued/revocations'
import {
  basic,
  mainframeSecret,
  startExchangeWithClients,
} from '../clients/exchange-with-clients.ts'
import { alice } from '../fixtures.ts'

const folders: string[] = []
const newFolder = () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-revoked-'))
  folders.push(folder)
  return folder
}
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true })
})
const nowMs = Date.UTC(2026, 10, 26)
const later = nowMs + 300_000

test('a revoked token stays revoked when the exchange starts again', async () => {
  const ca = { store: { directory: newFolder() } }
  const headers = basic('mainframe', mainframeSecret)
  const first = await startExchangeWithClients({ ca })
  const newToken = async () => {
    const answer = await first.post('/token', await first.form(), { headers })
    return String(answer.json()['access_token'])
  }
  const [revoked, kept] = [await newToken(), await newToken()]
  assert.equal((await first.post('/revoke', { token: revoked }, { headers })).status, 200)
  await first.stop()

  const second = await startExchangeWithClients({ ca })
  const isActive = async (token: string) =>
    (await second.post('/introspect', { token }, { headers })).json()['active']
  assert.equal(await isActive(revoked), false)
  assert.equal(await isActive(kept), true)
  const text = readFileSync(join(ca.store.directory, 'revoked'), 'utf8')
  assert.ok(text.includes(String(decodeJwt(revoked).jti)) && !text.includes(revoked))
  await second.stop()
})

suite('the file of what was revoked', () => {
  const openIn = async (folder: string, atMs = nowMs) => {
    const revocations = revocationsIn(folder, 100, noLog)
    return { revocations, revoked: await revocations.load(atMs) }
  }
  const fileIn = (folder: string) => join(folder, 'revoked')

  test('is for us alone, and keeps each id until its end', async () => {
    const folder = newFolder()
    const { revocations, revoked } = await openIn(folder)
    assert.equal(revoked.size, 0)
    const all = new Map([
      ['a', later],
      ['b', nowMs + 1000],
    ])
    assert.equal(await revocations.add(['a', 'b'], all), true)
    assert.equal(statSync(fileIn(folder)).mode & 0o777, 0o600)
    assert.deepEqual([...(await openIn(folder)).revoked.keys()], ['a', 'b'])
    assert.deepEqual([...(await openIn(folder, nowMs + 2000)).revoked.keys()], ['a'])
  })

  test('with half a line at its end, as a power cut leaves it, is read to the line before', async () => {
    const folder = newFolder()
    writeFileSync(fileIn(folder), `${later} whole\n${later} ha`, { mode: 0o600 })
    const { revocations, revoked } = await openIn(folder)
    assert.deepEqual([...revoked.keys()], ['whole'])
    await revocations.add(['next'], new Map([...revoked, ['next', later]]))
    assert.deepEqual([...(await openIn(folder)).revoked.keys()], ['whole', 'next'])
  })

  test('that is damaged or far too large stops the start, and says where and what to do', async () => {
    for (const [text, said] of [
      [`${later} a\nhalf of it\n`, /revoked:2 is damaged\. Remedy: /],
      ['x'.repeat(1_000_000), /has more than \d+ bytes\. Remedy: /],
    ] as const) {
      const folder = newFolder()
      writeFileSync(fileIn(folder), text)
      await assert.rejects(openIn(folder), said)
    }
  })

  test('does not grow with what has ended', async () => {
    const folder = newFolder()
    const { revocations } = await openIn(folder)
    for (let i = 0; i < 1500; i++) await revocations.add([`id-${i}`], new Map([[`id-${i}`, later]]))
    const { size } = statSync(fileIn(folder))
    assert.ok(size < 1100 * 25, `${size} bytes`)
  })

  test('whose folder is gone: it is said, and the token is refused here all the same', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-revoked-'))
    const { revocations } = await openIn(folder)
    rmSync(folder, { recursive: true })
    const register = issuedRegister(100, () => nowMs, {
      revocations,
      revoked: new Map(),
      journal: noIssuedJournal,
      issued: [],
    })
    assert.equal(await register.revoke('a', later), false)
    assert.ok(register.isRevoked('a'))
  })
})

suite('the register of what was issued', () => {
  const one = (id: string, more: Partial<Issued> = {}): Issued => ({
    id,
    kind: 'jwt-svid',
    subject: alice,
    client: 'batch',
    audience: 'a',
    kid: 'k',
    issuedAtMs: nowMs,
    expiresAtMs: later,
    parent: '',
    fingerprint: `f-${id}`,
    ...more,
  })

  test('lists what has not ended, the earliest end first, and picks by subject and kind', async () => {
    let atMs = nowMs
    const register = issuedRegister(100, () => atMs)
    await register.add(one('late'))
    await register.add(one('early', { expiresAtMs: nowMs + 1000, kind: 'access-token' }))
    await register.add(one('certificate', { kind: 'x509-svid', fingerprint: '' }))
    const ids = (filter: object) => register.list(filter).map(({ id }) => id)
    assert.deepEqual(ids({}), ['early', 'late', 'certificate'])
    assert.deepEqual(ids({ kind: 'access-token' }), ['early'])
    assert.deepEqual(ids({ subject: 'spiffe://mesh.example/user/bob' }), [])
    atMs += 1000
    assert.deepEqual(ids({}), ['late', 'certificate'])
  })

  test('revokes a whole family and nobody else', async () => {
    const register = issuedRegister(100, () => nowMs)
    await register.add(one('parent'))
    await register.add(one('stranger', { parent: 'f-other' }))
    await register.add(one('child', { parent: 'f-parent' }))
    await register.add(one('grandchild', { parent: 'f-child' }))
    await register.add(one('orphan', { parent: '' }))
    assert.equal(await register.revoke('parent', later), true)
    const revoked = register.list({}).filter((each) => each.revoked)
    assert.deepEqual(
      revoked.map(({ id }) => id),
      ['parent', 'child', 'grandchild'],
    )
  })

  test('is bounded: the oldest entry goes, what is revoked does not, and one revocation too many is said', async () => {
    const register = issuedRegister(3, () => nowMs)
    for (const id of ['a', 'b', 'c', 'd']) await register.add(one(id))
    assert.equal(register.list({}).length, 3)
    assert.equal(register.forgotten(), 1)
    assert.deepEqual(
      register.list({}).map(({ id }) => id),
      ['b', 'c', 'd'],
    )
    for (const id of ['a', 'b', 'c']) assert.equal(await register.revoke(id, later), true)
    assert.equal(await register.revoke('d', later), false)
    assert.equal(await register.revoke('a', later), true, 'known already')
    assert.ok(register.isRevoked('a') && !register.isRevoked('d'))
  })
})
