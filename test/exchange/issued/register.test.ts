import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { Issued } from '#exchange/issued/issued'
import { issuedRegister } from '#exchange/issued/register'
import { collectGarbage } from '../../collect-garbage.ts'
import { alice, fakeClock, gateway } from '../fixtures.ts'

const livesMs = 60_000

const issuedAt = (nowMs: number, id: string, more: Partial<Issued> = {}): Issued => ({
  id,
  kind: 'jwt-svid',
  subject: alice,
  client: gateway,
  audience: 'spiffe://mesh.example/service/orders',
  kid: 'kid-1',
  issuedAtMs: nowMs,
  expiresAtMs: nowMs + livesMs,
  parent: `parent-of-${id}`,
  fingerprint: `print-of-${id}`,
  ...more,
})

test('what has ended is let go, however much comes after it', async () => {
  const { clock, pass } = fakeClock()
  const register = issuedRegister(100_000, clock)
  const issue = async (id: string) => {
    const issued = issuedAt(clock(), id)
    await register.add(issued)
    return new WeakRef(issued)
  }
  const first: WeakRef<Issued>[] = []
  for (let i = 0; i < 100; i++) first.push(await issue(`first-${i}`))
  await setImmediate() // until then what a WeakRef was asked about, or made of, is alive
  collectGarbage()
  assert.ok(first.every((issued) => issued.deref() !== undefined))
  for (let turn = 0; turn < 3; turn++) {
    pass(livesMs + 1)
    for (let i = 0; i < 500; i++) await issue(`later-${turn}-${i}`)
  }
  await setImmediate()
  collectGarbage()
  assert.equal(first.filter((issued) => issued.deref() !== undefined).length, 0)
})

test('beyond its bound the oldest are forgotten first, also after others have ended', async () => {
  const { clock, pass } = fakeClock()
  const register = issuedRegister(4, clock)
  const issue = (id: string, more?: Partial<Issued>) => register.add(issuedAt(clock(), id, more))
  const known = () =>
    register
      .list({})
      .map(({ id }) => id)
      .toSorted()
      .join()
  for (const id of ['a', 'b', 'c', 'd', 'e']) await issue(id)
  assert.equal(known(), 'b,c,d,e')
  await issue('f')
  assert.equal(known(), 'c,d,e,f')
  pass(livesMs + 1)
  for (const id of ['g', 'h', 'i', 'j', 'k']) await issue(id)
  assert.equal(known(), 'h,i,j,k')
  assert.equal(register.forgotten(), 3)
})

test('each that has not ended is shown once, and whether it was taken back', async () => {
  const { clock, pass } = fakeClock()
  const register = issuedRegister(1000, clock)
  await register.add(issuedAt(clock(), 'ended', { expiresAtMs: clock() + 1000 }))
  pass(1000)
  await register.add(issuedAt(clock(), 'good'))
  await register.add(issuedAt(clock(), 'revoked'))
  await register.revoke('revoked', clock() + livesMs)
  const shown: string[] = []
  await register.each(({ id }, isRevoked) => shown.push(`${id} ${isRevoked}`))
  assert.deepEqual(shown.toSorted(), ['good false', 'revoked true'])
})
