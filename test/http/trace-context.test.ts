import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { readTraceContext, traceParentText } from '#http/trace-context'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const spanId = '00f067aa0ba902b7'
const good = `00-${traceId}-${spanId}-01`

suite('a trace context', () => {
  test('is read with its state, and the flags are not believed', () => {
    assert.deepEqual(readTraceContext(['traceparent', good, 'tracestate', 'a=1']), {
      traceId,
      spanId,
      traceState: 'a=1',
    })
  })

  test('may be of a later version and hold more', () => {
    assert.equal(
      readTraceContext(['traceparent', `01-${traceId}-${spanId}-01-more`])?.spanId,
      spanId,
    )
  })

  const rows: readonly (readonly [why: string, text: string])[] = [
    ['is upper-case', good.toUpperCase()],
    ['has a trace id of zeros', `00-${'0'.repeat(32)}-${spanId}-01`],
    ['has a span id of zeros', `00-${traceId}-${'0'.repeat(16)}-01`],
    ['has the version that is forbidden', `ff-${traceId}-${spanId}-01`],
    ['has more than version 00 may', `${good}-more`],
    ['is cut short', good.slice(0, -1)],
    ['is empty', ''],
  ]
  for (const [why, text] of rows)
    test(`that ${why} says nothing`, () => {
      assert.equal(readTraceContext(['traceparent', text, 'tracestate', 'a=1']), undefined)
    })

  test('that comes twice says nothing', () => {
    assert.equal(readTraceContext(['traceparent', good, 'traceparent', good]), undefined)
  })

  test('loses a state that is too long, and nothing else', () => {
    const long = `a=${'x'.repeat(511)}`
    assert.deepEqual(readTraceContext(['traceparent', good, 'tracestate', long]), {
      traceId,
      spanId,
      traceState: undefined,
    })
  })

  test('is told to the next hop by our own flag', () => {
    assert.equal(traceParentText({ traceId, spanId }, false), `00-${traceId}-${spanId}-00`)
    assert.equal(traceParentText({ traceId, spanId }, true), good)
  })
})
