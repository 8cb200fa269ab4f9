import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Inspection } from '#contract/inspection'
import { admitted, pass, refuse, type Problem, type Result } from '#contract/problem'
import { inspectAnswer } from '#gateway/ingress/inspect-answer'
import type { UpstreamHandler } from '#http/upstream-client'

type Rules = {
  readonly maxBytes?: number
  readonly head?: Result<{ readonly maxBytes: number }>
  readonly body?: (bytes: Buffer | undefined, whole: boolean) => Result<void>
  readonly slow?: true
}

/** What the caller gets, and what the rules were shown. */
const setUp = ({ maxBytes = 0, head, body, slow }: Rules) => {
  const got: string[] = []
  const shown: string[] = []
  const paused: string[] = []
  const later = <T>(value: T) => (slow ? Promise.resolve(value) : value)
  const inspection: Inspection = {
    record: () => undefined,
    answers: true,
    head: (status) => {
      shown.push(`head ${status}`)
      return later(head ?? pass({ maxBytes }))
    },
    body: (bytes, whole) => {
      shown.push(`body ${bytes?.toString() ?? '-'} ${whole ? 'whole' : 'part'}`)
      return later(body?.(bytes, whole) ?? admitted)
    },
  }
  const inner: UpstreamHandler = {
    onStart: () => {},
    onHead: (status) => got.push(`head ${status}`),
    onData: (chunk) => got.push(`data ${chunk.toString()}`),
    onEnd: () => got.push('end'),
    onError: ({ kind }) => got.push(`error ${kind}`),
  }
  const stop = ({ tag }: Problem) => void got.push(`stop ${tag}`)
  const handler = inspectAnswer(inspection, inner, stop)
  handler.onStart({
    abort: () => {},
    pause: () => paused.push('pause'),
    resume: () => paused.push('resume'),
  })
  const settled = () => new Promise((resolve) => setImmediate(resolve))
  return { handler, got, shown, paused, settled }
}

const chunk = (text: string) => Buffer.from(text)
const leak = (bytes: Buffer | undefined) =>
  bytes?.includes('secret') ? refuse('attack-suspected') : admitted

suite('An answer under inspection', () => {
  test('streams through when no rule wants its body', () => {
    const { handler, got, shown } = setUp({})
    handler.onHead(200, [])
    handler.onData(chunk('a'), false)
    handler.onEnd([])
    assert.deepEqual(got, ['head 200', 'data a', 'end'])
    assert.deepEqual(shown, ['head 200', 'body - whole'])
  })

  test('is held back until as much is there as the rules want', () => {
    const { handler, got, shown } = setUp({ maxBytes: 4 })
    handler.onHead(200, [])
    handler.onData(chunk('ab'), false)
    assert.deepEqual(got, [])
    handler.onData(chunk('cd'), false)
    handler.onData(chunk('ef'), false)
    handler.onEnd([])
    assert.deepEqual(got, ['head 200', 'data abcd', 'data ef', 'end'])
    assert.deepEqual(shown, ['head 200', 'body abcd part'])
  })

  test('that is shorter is shown whole', () => {
    const { handler, got, shown } = setUp({ maxBytes: 100 })
    handler.onHead(200, [])
    handler.onData(chunk('ab'), false)
    handler.onEnd([])
    assert.deepEqual(got, ['head 200', 'data ab', 'end'])
    assert.deepEqual(shown, ['head 200', 'body ab whole'])
  })

  test('whose head is refused never begins', () => {
    const { handler, got } = setUp({ head: refuse('attack-suspected') })
    handler.onHead(500, [])
    handler.onData(chunk('stack trace'), false)
    handler.onEnd([])
    assert.deepEqual(got, ['stop attack-suspected'])
  })

  test('whose body is refused never begins', () => {
    const { handler, got } = setUp({ maxBytes: 10, body: leak })
    handler.onHead(200, [])
    handler.onData(chunk('a secret'), false)
    handler.onEnd([])
    assert.deepEqual(got, ['stop attack-suspected'])
  })

  test('waits where the rules take their time', async () => {
    const { handler, got, paused, settled } = setUp({ maxBytes: 10, slow: true })
    handler.onHead(200, [])
    await settled()
    handler.onData(chunk('ab'), false)
    handler.onEnd([])
    await settled()
    assert.deepEqual(got, ['head 200', 'data ab', 'end'])
    assert.deepEqual(paused, ['pause', 'resume', 'pause', 'resume'])
  })

  test('that breaks off is an error, once', () => {
    const { handler, got } = setUp({ maxBytes: 10 })
    handler.onHead(200, [])
    handler.onData(chunk('ab'), false)
    handler.onError({ kind: 'broken', cause: undefined, unsent: false })
    assert.deepEqual(got, ['error broken'])
  })

  for (const maxBytes of [0, 10])
    test(`that breaks off while the rules take their time is over (${maxBytes} bytes wanted)`, async () => {
      const { handler, got, settled } = setUp({ maxBytes, slow: true })
      handler.onHead(200, [])
      if (maxBytes > 0) {
        await settled()
        handler.onData(chunk('a whole lot of bytes'), false)
      }
      handler.onError({ kind: 'broken', cause: undefined, unsent: false })
      await settled()
      assert.deepEqual(got, ['error broken'])
    })

  test('after it was stopped, nothing is told any more', () => {
    const { handler, got } = setUp({ maxBytes: 10, body: leak })
    handler.onHead(200, [])
    handler.onData(chunk('a secret!!'), false)
    handler.onError({ kind: 'aborted', cause: undefined, unsent: false })
    assert.deepEqual(got, ['stop attack-suspected'])
  })
})
