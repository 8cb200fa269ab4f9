import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import type { Seen } from '#plugins/replay/seen'

/** What everything that remembers used ids promises: one suite for memory and Redis. */
export const seenKeepsItsPromises = (
  name: string,
  open: (clock: () => number) => Promise<Seen>,
  needs: { readonly skip?: string } = {},
): void => {
  void suite(`${name} remembers what was used`, needs, () => {
    let count = 0
    const newId = () => `id-${name}-${process.pid}-${count++}`
    const opened: Seen[] = []
    const openNow = async (clock: () => number = Date.now) => {
      const seen = await open(clock)
      opened.push(seen)
      return seen
    }
    after(async () => {
      await Promise.all(opened.map((seen) => seen.close()))
    })

    test('an id is there for the first time once', async () => {
      const seen = await openNow()
      const id = newId()
      const answers = []
      for (let i = 0; i < 3; i++) answers.push(await seen.see(id, Date.now() + 60_000))
      assert.deepEqual(answers, ['first', 'again', 'again'])
      assert.equal(await seen.see(newId(), Date.now() + 60_000), 'first')
    })

    test('of many at once with one id, one is the first', async () => {
      const seen = await openNow()
      const id = newId()
      const answers = await Promise.all(
        Array.from({ length: 50 }, async () => seen.see(id, Date.now() + 60_000)),
      )
      assert.equal(answers.filter((answer) => answer === 'first').length, 1)
      assert.equal(answers.filter((answer) => answer === 'again').length, 49)
    })

    test('an id is not forgotten before its end', async () => {
      let nowMs = Date.now()
      const seen = await openNow(() => nowMs)
      const id = newId()
      assert.equal(await seen.see(id, nowMs + 25_000), 'first')
      nowMs += 24_999
      assert.equal(await seen.see(id, nowMs + 25_000), 'again')
    })

    test('ids are told apart whatever is in them', async () => {
      const seen = await openNow()
      const id = newId()
      for (const one of [id, `${id} `, `${id}\0`, `${id}:`, id.toUpperCase(), `${id}é`])
        assert.equal(await seen.see(one, Date.now() + 60_000), 'first', JSON.stringify(one))
    })
  })
}
