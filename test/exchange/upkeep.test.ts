import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { suite, test } from 'node:test'
import { noLog, noMeter } from '#contract/telemetry'
import type { KeyStore } from '#exchange/keys/key-store'
import { memoryKeyStore } from '#exchange/keys/memory'
import { ownCertificate } from '#exchange/own-certificate'
import { upkeepOf } from '#exchange/upkeep'
import { exchangeId, fakeClock, hourMs, openTestAuthority } from './fixtures.ts'

const start = async () => {
  const { clock, pass } = fakeClock(Date.now())
  const memory = memoryKeyStore()
  let failing: 'save' | 'reload' | 'publish' | 'nothing' = 'nothing'
  const failOn = (what: typeof failing) => {
    if (failing === what) throw new Error(`${what} failed`)
  }
  const store: KeyStore = {
    load: memory.load,
    save: async (state) => {
      failOn('save')
      await memory.save(state)
    },
  }
  const authority = await openTestAuthority(clock, { store })
  const own = await ownCertificate({
    authority: authority.current,
    spiffeId: exchangeId,
    names: ['localhost'],
    lifetimeMs: hourMs,
    clock,
    randomBytes,
  })
  let reloads = 0
  const published: string[] = []
  const upkeep = upkeepOf({
    authority,
    own,
    rootsPem: () => authority.current().rootsPem,
    reloadTls: () => {
      failOn('reload')
      reloads++
    },
    publishRoots: async (pem) => {
      failOn('publish')
      published.push(pem)
    },
    publishInspection: async () => {},
    meter: noMeter,
    log: noLog,
  })
  return {
    upkeep,
    authority,
    own,
    pass,
    published,
    reloads: () => reloads,
    fail: (what: typeof failing) => {
      failing = what
    },
  }
}

suite('the upkeep of the exchange', () => {
  test('shows roots and certificate once, and again only when they change', async () => {
    const { upkeep, pass, published, reloads } = await start()
    await upkeep.tick()
    await upkeep.tick()
    assert.equal(reloads(), 1)
    assert.equal(published.length, 1)
    pass(hourMs / 2)
    await upkeep.tick()
    assert.equal(reloads(), 2, 'the own certificate was renewed')
    assert.equal(published.length, 1, 'the roots are the same')
  })

  test('turns the keys that are due', async () => {
    const { upkeep, authority, pass } = await start()
    const { kid } = authority.current().tokenKey
    for (let hours = 0; hours < 24; hours++, pass(hourMs)) await upkeep.tick()
    assert.notEqual(authority.current().tokenKey.kid, kid)
    assert.equal(upkeep.fault(), undefined)
  })

  for (const what of ['save', 'reload', 'publish'] as const)
    test(`says why when ${what} fails, and does it the next time`, async () => {
      const { upkeep, authority, pass, fail, published, reloads } = await start()
      await upkeep.tick()
      fail(what)
      pass(12 * hourMs) // a key is to be prepared, the own certificate to be renewed
      await authority.order({ kind: 'root', step: 'prepare' }).catch(() => {})
      await upkeep.tick()
      assert.match(upkeep.fault() ?? '', new RegExp(`${what} failed`))
      fail('nothing')
      await authority.order({ kind: 'root', step: 'prepare' })
      await upkeep.tick()
      assert.equal(upkeep.fault(), undefined)
      assert.ok(reloads() >= 2)
      assert.equal(published.at(-1), authority.current().rootsPem)
      assert.ok(authority.current().keys.jwtKeys.next)
    })

  test('of two at once the later has the last word', async () => {
    const { upkeep, authority, published } = await start()
    const first = upkeep.tick()
    await authority.order({ kind: 'root', step: 'prepare' })
    await Promise.all([first, upkeep.tick()])
    assert.equal(published.at(-1), authority.current().rootsPem)
  })
})
