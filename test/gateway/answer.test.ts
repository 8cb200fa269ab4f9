import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { admitted, refuse, type Problem } from '#contract/problem'
import { answer, type Ending, type Exchange, type Sent } from '#gateway/answer'
import { begin } from '#gateway/compose'
import { liveTable } from '#gateway/live'

type From = { readonly id: number }

/** Brings one request to its end, and tells all that was seen of it. */
const answered = async (
  guard: () => typeof admitted | ReturnType<typeof refuse>,
  given: Partial<Exchange<From, From>> = {},
) => {
  const live = liveTable()
  const records: Ending<From, From>[] = []
  const watched: string[] = []
  const refused: Problem[] = []
  const left: string[] = []
  const exchange: Exchange<From, From> = {
    received: { id: 1 },
    send: async () => ({ status: 200, bytesOut: 5 }),
    refuse: (problem): Sent => {
      refused.push(problem)
      return { status: 500, bytesOut: 0 }
    },
    cut: () => {},
    ...given,
  }
  const ending = (async () =>
    answer(begin<From>().guard('may it', guard), exchange, {
      open: live.add,
      leave: () => left.push('left'),
      record: (record) => records.push(record),
      watch: (step) => watched.push(step),
    }))()
  const failure = await ending.then(
    () => undefined,
    (cause: unknown) => cause,
  )
  assert.deepEqual(left, ['left'])
  return { records, watched, refused, failure, open: live.size() }
}

suite('an exchange', () => {
  test('that is forwarded leaves one record, and its forwarding is timed like a step', async () => {
    const { records, watched, open } = await answered(() => admitted)
    assert.deepEqual(
      records.map(({ step, sent }) => [step, sent.status]),
      [['none', 200]],
    )
    assert.deepEqual(watched, ['may it', 'forward'])
    assert.equal(open, 0)
  })

  test('that is refused leaves one record, of the step that refused it', async () => {
    const { records, watched, refused } = await answered(() => refuse('route-unknown'))
    assert.deepEqual(
      records.map(({ step, sent }) => [step, sent.problem?.tag]),
      [['may it', 'route-unknown']],
    )
    assert.deepEqual(watched, ['may it'])
    assert.equal(refused.length, 1)
  })

  test('whose forwarding breaks is a bug of ours, and leaves one record all the same', async () => {
    const { records, open } = await answered(() => admitted, {
      send: () => Promise.reject(new Error('broken')),
    })
    assert.deepEqual(
      records.map(({ step, sent }) => [step, sent.problem?.tag]),
      [['forward', 'internal']],
    )
    assert.equal(open, 0)
  })

  test('whose end is told without a promise, and more than once, leaves one record', async () => {
    const { records, open } = await answered(() => admitted, {
      send: (_request, end) => {
        end({ status: 201, bytesOut: 1 })
        end({ status: 502, bytesOut: 0 })
      },
    })
    assert.deepEqual(
      records.map(({ step, sent }) => [step, sent.status]),
      [['none', 201]],
    )
    assert.equal(open, 0)
  })

  test('that breaks after its end was told leaves the record of its end', async () => {
    const { records } = await answered(() => admitted, {
      send: (_request, end) => {
        end({ status: 201, bytesOut: 1 })
        throw new Error('too late')
      },
    })
    assert.deepEqual(
      records.map(({ sent }) => sent.status),
      [201],
    )
  })

  test('does not stay in the live table, whatever breaks', async () => {
    const { open, failure } = await answered(() => refuse('route-unknown'), {
      refuse: () => {
        throw new Error('not even this works')
      },
    })
    assert.ok(failure instanceof Error)
    assert.equal(open, 0)
  })
})
