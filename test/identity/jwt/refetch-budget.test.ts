import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { refetchBudget } from '#identity/jwt/refetch-budget'

/** A budget with a clock of its own, and what was asked of it. */
const budgetAtZero = () => {
  let nowMs = 0
  const budget = refetchBudget(() => nowMs)
  return {
    budget,
    at: (seconds: number) => {
      nowMs = seconds * 1000
    },
    /** Spends if it may. */
    ask: (kid: string) => {
      const allowed = budget.allows(kid)
      if (allowed) budget.spend(kid)
      return allowed
    },
  }
}

suite('the budget for asking an issuer again', () => {
  test('a flood of different kids asks ever less often, down to once in 30 s', () => {
    const { at, ask } = budgetAtZero()
    const asked: number[] = []
    for (let second = 0; second < 600; second++) {
      at(second)
      for (let i = 0; i < 100; i++) if (ask(`made-up-${second}-${i}`)) asked.push(second)
    }
    assert.deepEqual(asked.slice(0, 7), [0, 1, 3, 7, 15, 31, 61])
    assert.equal(asked.at(-1), 30 * 19 + 1)
    assert.equal(asked.length, 5 + 19)
  })

  test('one kid that is never found asks ever less often, and leaves room for others', () => {
    const { at, ask } = budgetAtZero()
    let asked = 0
    for (let second = 0; second < 3600; second++) {
      at(second)
      if (ask('long-gone')) asked++
    }
    assert.ok(asked < 25, `asked ${asked} times in an hour`)
    at(3600 + 299)
    assert.ok(ask('brand-new'), 'a rotation has to wait because of a kid that is long gone')
  })

  test('what paid off costs nothing: two rotations in a row are both seen at once', () => {
    const { budget, ask } = budgetAtZero()
    for (const kid of ['a', 'b', 'c']) {
      assert.ok(ask(kid))
      budget.paidOff(kid)
    }
    assert.ok(ask('d'))
    assert.ok(!ask('e'))
  })

  test('a key that is published a moment after its first use is found within seconds', () => {
    const { at, ask } = budgetAtZero()
    const asked: number[] = []
    for (let tenth = 0; tenth < 100; tenth++) {
      at(tenth / 10)
      if (ask('late')) asked.push(tenth / 10)
    }
    assert.deepEqual(asked, [0, 1, 3, 7])
  })

  test('it remembers a bounded number of kids', () => {
    const { at, budget } = budgetAtZero()
    for (let i = 0; i < 5000; i++) budget.spend(`kid-${i}`)
    at(31)
    assert.ok(budget.allows('kid-0'))
  })
})
