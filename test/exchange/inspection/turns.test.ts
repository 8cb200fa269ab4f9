import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { inspectionIssuer } from '#exchange/ca/inspection-turns'
import { isPermitted, permittedNames } from '#exchange/ca/name-constraints'
import { memoryKeyStore } from '#exchange/keys/memory'
import { dayMs, fakeClock, hourMs, openTestAuthority } from '../fixtures.ts'

suite('what constraints can say of patterns', () => {
  for (const [patterns, names] of [
    [['api.example.com'], ['api.example.com']],
    [['*.example.com'], ['example.com']],
    [['**.example.com', 'api.example.com', 'deep.api.example.com'], ['example.com']],
    [['ec2.*.amazonaws.com'], ['amazonaws.com']],
    [
      ['region-*.example.com', 'notexample.com'],
      ['example.com', 'notexample.com'],
    ],
  ] as const)
    test(patterns.join(', '), () => assert.deepEqual(permittedNames(patterns), names))
  test('a name is with all below it, and never with what only ends alike', () => {
    assert.ok(isPermitted(['example.com'], 'api.example.com'))
    assert.ok(isPermitted(['example.com'], 'example.com'))
    assert.ok(!isPermitted(['example.com'], 'notexample.com'))
    assert.ok(!isPermitted(['api.example.com'], '*.example.com'))
  })
})

suite('the CA of inspected hosts', () => {
  const inspecting = (...hosts: string[]) => ({ hosts, caMs: 60 * dayMs, leafMs: dayMs })

  test('is there only where hosts are named, and none of the mesh', async () => {
    const without = (await openTestAuthority()).current()
    assert.equal(without.inspectionPem, '')
    const { clock } = fakeClock()
    const store = memoryKeyStore()
    const before = await openTestAuthority(clock, { store })
    const after = await openTestAuthority(clock, { store, inspection: inspecting('api.test') })
    assert.match(after.current().inspectionPem, /BEGIN CERTIFICATE/)
    assert.equal(after.current().bundle.body, before.current().bundle.body)
    assert.equal(after.current().rootsPem, before.current().rootsPem)
  })

  test('goes on for the hosts it has, when another is named, and the next signs for that one', async () => {
    const { clock } = fakeClock()
    const store = memoryKeyStore()
    await openTestAuthority(clock, { store, inspection: inspecting('a.test') })
    const second = await openTestAuthority(clock, {
      store,
      inspection: inspecting('a.test', 'b.test'),
    })
    const { inspectionCas: cas, jwtKeys } = second.current().keys
    assert.ok(cas?.next && jwtKeys)
    assert.equal(inspectionIssuer(cas, 'a.test')?.id, cas.active.id)
    assert.equal(inspectionIssuer(cas, 'b.test')?.id, cas.next.id)
    assert.equal(inspectionIssuer(cas, 'c.test'), undefined)

    const third = await openTestAuthority(clock, { store, inspection: inspecting('c.test') })
    const later = third.current().keys.inspectionCas
    assert.ok(later?.next)
    assert.equal(later.active.id, cas.active.id)
    assert.equal(inspectionIssuer(later, 'c.test')?.id, later.next.id)
    const [retired] = later.retired
    assert.equal(retired?.key.id, cas.next.id, 'what may have signed stays published')
    assert.ok(!('privateKey' in retired.key), 'and signs no more')
    assert.equal(third.current().inspectionPem.match(/BEGIN/g)?.length, 3)
  })

  test('never signs with a key that was not published for 15 minutes, over a year', async () => {
    const { clock, pass } = fakeClock()
    const authority = await openTestAuthority(clock, { inspection: inspecting('api.test') })
    const beganAt = clock()
    const signed = new Set<string>()
    for (; clock() < beganAt + 365 * dayMs; pass(6 * hourMs)) {
      await authority.rotate()
      const cas = authority.current().keys.inspectionCas
      const issuer = cas && inspectionIssuer(cas, 'api.test')
      assert.ok(issuer)
      assert.ok(issuer.notAfterMs - clock() > dayMs, 'a leaf would be cut short')
      if (!signed.has(issuer.id) && signed.size > 0)
        assert.ok(clock() - issuer.createdAtMs >= 900_000)
      signed.add(issuer.id)
    }
    assert.ok(signed.size >= 6, `only ${signed.size} keys`)
    assert.ok((authority.current().keys.inspectionCas?.retired.length ?? 9) <= 1)
  })
})
