import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { suite, test } from 'node:test'
import { ownCertificate } from '#exchange/own-certificate'
import { exchangeId, fakeClock, hourMs, openTestAuthority } from './fixtures.ts'

const open = async (names: readonly string[] = ['localhost', '127.0.0.1']) => {
  const { clock, pass } = fakeClock(Date.now())
  const authority = await openTestAuthority(clock)
  const own = await ownCertificate({
    authority: authority.current,
    spiffeId: exchangeId,
    names,
    lifetimeMs: hourMs,
    clock,
    randomBytes,
  })
  return { own, pass, authority }
}

suite("the exchange's own certificate", () => {
  test('is renewed at half of its life, with another key, and not before', async () => {
    const { own, pass } = await open()
    const first = own.current()
    pass(hourMs / 2 - 10_000)
    assert.equal(await own.renewIfDue(), false)
    pass(10_000)
    assert.equal(await own.renewIfDue(), true)
    assert.notEqual(own.current().certificate, first.certificate)
    assert.notEqual(own.current().key.reveal(), first.key.reveal())
    assert.ok(own.current().notAfterMs > first.notAfterMs)
    assert.equal(await own.renewIfDue(), false)
  })

  test('is renewed as soon as another intermediate signs', async () => {
    const { own, authority } = await open()
    await authority.order({ kind: 'intermediate', step: 'prepare' })
    assert.equal(await own.renewIfDue(), false)
    await authority.order({ kind: 'intermediate', step: 'activate', force: true })
    assert.equal(await own.renewIfDue(), true)
  })

  for (const name of [
    'not a name',
    '',
    'a..b',
    '-a.example',
    '*.example',
    'a_b',
    'ä.example',
    `${'a'.repeat(64)}.example`,
  ])
    test(`cannot have the name ${JSON.stringify(name)}`, async () => {
      await assert.rejects(open(['localhost', name]), /listeners\.exchange\.names: /)
    })
})
