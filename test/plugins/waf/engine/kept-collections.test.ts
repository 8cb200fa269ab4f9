import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { makeKeptCollections } from '#plugins/waf/engine/kept-collections'
import { idsOf, programOf, runThrough } from '../support.ts'

const second = 1000

suite('Collections that outlive a request', () => {
  const counting = programOf(`
SecAction "id:1,phase:1,pass,nolog,initcol:ip=%{remote_addr}"
SecAction "id:2,phase:1,pass,nolog,setvar:ip.count=+1,expirevar:ip.count=60"
SecRule IP:COUNT "@gt 2" "id:3,phase:1,deny,msg:'%{ip.count} by %{ip.key}'"
`)
  const ask = async (remoteAddress: string, nowMs: number) => {
    const state = await runThrough(counting, { remoteAddress, nowMs })
    return state.matches.map(({ message }) => message)
  }

  test('count what came by one key, whatever comes by others, until it expires', async () => {
    assert.deepEqual(await ask('192.0.2.1', 0), [])
    assert.deepEqual(await ask('192.0.2.2', 0), [])
    assert.deepEqual(await ask('192.0.2.1', 10 * second), [])
    assert.deepEqual(await ask('192.0.2.1', 20 * second), ['3 by 192.0.2.1'])
    assert.deepEqual(await ask('192.0.2.2', 20 * second), [])
    assert.deepEqual(await ask('192.0.2.1', 79 * second), ['4 by 192.0.2.1'])
    assert.deepEqual(await ask('192.0.2.1', 139 * second), [])
  })

  test('are not shared by other rule sets, nor without `initcol`', async () => {
    const rules = programOf(
      'SecAction "id:1,phase:1,pass,nolog,setvar:ip.count=+1"',
      'SecRule IP:COUNT "@gt 1" "id:2,phase:1,deny"',
    )
    for (let i = 0; i < 3; i += 1) assert.deepEqual(idsOf(await runThrough(rules)), [])
  })

  test('end a time after their last change', () => {
    const kept = makeKeptCollections(10)
    kept.open('IP', 'a', 0).set('x', '1')
    assert.equal(kept.open('IP', 'a', 9 * second).get('x'), '1')
    kept.open('IP', 'a', 9 * second).set('y', '2')
    assert.equal(kept.open('IP', 'a', 18 * second).get('x'), '1')
    assert.equal(kept.open('IP', 'a', 19 * second).get('x'), undefined)
    assert.equal(kept.size(), 0)
  })

  test('say of themselves what they are', () => {
    const kept = makeKeptCollections(600)
    const store = kept.open('GLOBAL', 'all', 60 * second)
    assert.deepEqual(
      [store.get('key'), store.get('is_new'), store.get('timeout')],
      ['all', '1', '600'],
    )
    store.set('x', '1')
    const later = kept.open('GLOBAL', 'all', 180 * second)
    later.set('y', '1')
    const told = ['is_new', 'create_time', 'last_update_time', 'update_counter', 'update_rate']
    assert.deepEqual(told.map(later.get), ['0', '60', '180', '2', '1'])
    assert.deepEqual(later.select((name) => name === 'x').values, ['1'])
    later.unset('x')
    assert.equal(later.get('x'), undefined)
  })

  test('lose a number by and by, where rules say so', () => {
    const kept = makeKeptCollections(600)
    kept.open('IP', 'a', 0).set('n', '10')
    const at = (nowMs: number) => {
      const store = kept.open('IP', 'a', nowMs)
      store.deprecate('n', 3, 30 * second)
      return store.get('n')
    }
    assert.deepEqual(
      [29, 30, 59, 120, 600].map((s) => at(s * second)),
      ['10', '7', '7', '0', '0'],
    )
  })

  test('are bounded, in number and size, and who is least recent goes first', () => {
    const kept = makeKeptCollections(600)
    for (let i = 0; i < 20_005; i += 1) kept.open('IP', `k${i}`, 0).set('x', '1')
    assert.equal(kept.size(), 20_000)
    assert.equal(kept.open('IP', 'k4', 0).get('x'), undefined)
    const store = kept.open('IP', 'k20000', 0)
    for (let i = 0; i < 100; i += 1) store.set(`name${i}`, 'y'.repeat(100))
    assert.ok(store.select((name) => name.startsWith('name')).values.length < 41)
    kept.open('IP', 'only read', 0).get('x')
    assert.equal(kept.size(), 20_000)
  })

  test('have no words that cannot be read', () => {
    for (const action of [
      'expirevar:ip.x',
      'expirevar:args.x=1',
      'deprecatevar:ip.x=1',
      'deprecatevar:ip.x=1/0',
    ])
      assert.throws(() => programOf(`SecAction "id:1,phase:1,pass,${action}"`), /rules-0\.conf:1: /)
  })
})
