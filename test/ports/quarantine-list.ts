import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { QuarantineEntry, WhoCalls } from '#contract/quarantine'
import type { QuarantineList } from '#plugins/quarantine/list'
import { entryAbout } from '#test/plugins/quarantine/entries'

const ann: WhoCalls = {
  issuerName: 'staff',
  issuer: 'https://login.example',
  subject: 'ann',
  kid: 'key-1',
  jti: 'token-1',
  issuedAtMs: 1000,
  spiffeId: 'spiffe://mesh.example/people/ann',
}

/** What every place to keep a list must do. `open` is called once, for at most 20 entries; the suite closes what it gave. */
export const listKeepsItsPromises = (
  name: string,
  open: () => QuarantineList | Promise<QuarantineList>,
): void => {
  suite(`a list in ${name} keeps its promises`, () => {
    let list: QuarantineList
    before(async () => {
      list = await open()
    })
    after(() => list.close())
    const added = async (entry: QuarantineEntry) => {
      const outcome = await list.add(entry)
      assert.ok(outcome.ok, JSON.stringify(outcome))
      return outcome.value
    }
    const lifted = async ({ id }: QuarantineEntry) => {
      const outcome = await list.lift(id)
      assert.ok(outcome.ok, JSON.stringify(outcome))
      return outcome.value
    }
    const find = (who: Partial<WhoCalls> = {}) =>
      list.index.findWho({ ...ann, ...who }, Date.now())?.entry.id

    test('it is known, and finds nothing that was not added', () => {
      assert.equal(list.isKnown(), true)
      assert.equal(find(), undefined)
    })

    test('what was added is in force once that resolves, and gone once it is lifted', async () => {
      const entry = entryAbout({ kind: 'subject', issuer: 'staff', subject: 'ann' })
      const { held, warnings } = await added(entry)
      assert.deepEqual([held.entry, warnings], [entry, []])
      assert.equal(find(), entry.id)
      assert.equal(find({ subject: 'bob' }), undefined)
      assert.deepEqual((await lifted(entry)).held.entry, entry)
      assert.equal(find(), undefined)
    })

    test('whoever asked is told at once of what was added, and not of what was lifted', async () => {
      let told = 0
      const stop = list.onAdded(() => {
        told += 1
        assert.ok(find() !== undefined, 'it is in force when it is told of')
      })
      const entry = entryAbout({ kind: 'jti', jti: 'token-1' })
      await added(entry)
      assert.equal(told, 1)
      await lifted(entry)
      assert.equal(told, 1)
      stop()
      await lifted((await added(entryAbout({ kind: 'jti', jti: 'token-1' }))).held.entry)
      assert.equal(told, 1)
    })

    test('of two entries about the same the other stays when one is lifted', async () => {
      const [one, other] = [
        entryAbout({ kind: 'kid', kid: 'key-1' }),
        entryAbout({ kind: 'kid', kid: 'key-1' }),
      ]
      await added(one)
      await added(other)
      await lifted(one)
      assert.equal(find(), other.id)
      await lifted(other)
      assert.equal(find(), undefined)
    })

    test('what is not there cannot be lifted', async () => {
      const outcome = await list.lift('nothing')
      assert.equal(outcome.ok ? '' : outcome.problem.tag, 'order-refused')
    })

    test('what has ended is not found any more', async () => {
      const entry = entryAbout(
        { kind: 'issuer', issuer: 'staff' },
        { expiresAt: new Date(Date.now() + 60_000).toISOString() },
      )
      await added(entry)
      assert.equal(find(), entry.id)
      assert.equal(list.index.findWho(ann, Date.now() + 60_001), undefined)
      await lifted(entry)
    })

    test('orders given together are all taken', async () => {
      const entries = Array.from({ length: 15 }, (_, i) =>
        entryAbout({ kind: 'jti', jti: `together-${i}` }),
      )
      await Promise.all(entries.map(added))
      assert.ok(entries.every(({ id }, i) => find({ jti: `together-${i}` }) === id))
      await Promise.all(entries.map(lifted))
      assert.equal([...list.index.all()].length, 0)
    })

    test('it takes as many as it may have, and no more until one is lifted', async () => {
      const entries = Array.from({ length: 20 }, (_, i) =>
        entryAbout({ kind: 'route', route: `route-${i}` }),
      )
      for (const entry of entries) await added(entry)
      const more = entryAbout({ kind: 'route', route: 'one-more' })
      const refused = await list.add(more)
      assert.equal(refused.ok ? '' : refused.problem.tag, 'order-refused')
      await lifted(entries[0] ?? more)
      await added(more)
      assert.equal(list.status().entries, 20)
    })
  })
}
