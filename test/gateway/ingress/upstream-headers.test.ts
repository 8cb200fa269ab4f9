import assert from 'node:assert/strict'
import { test } from 'node:test'
import { secret } from '#contract/secret'
import type { Admitted } from '#gateway/ingress/pipeline'
import { upstreamHeaders as headersWriter } from '#gateway/ingress/upstream-headers'

const origin = {
  address: '192.0.2.1',
  forwardedFor: '192.0.2.1',
  forwardedProto: 'https',
  forwardedHost: 'api.test',
  forwarded: 'for=192.0.2.1',
  via: '1.1 us',
}

const headersOf = headersWriter()
/** All of them, in the order in which they are sent. */
const upstreamHeaders = (request: Admitted): readonly string[] => {
  const { headers, sharedHeaders } = headersOf(request)
  return [...headers, ...sharedHeaders.flat()]
}

/** What of an admitted request goes into the headers for its upstream. */
const admitted = (
  headers: readonly string[],
  isAnonymous = false,
  legacy?: readonly string[],
  fromCache = false,
) =>
  ({
    head: { headers },
    origin,
    route: { legacy: legacy && new Set(legacy) },
    decisionId: 'the-decision',
    identity: isAnonymous ? null : { minted: { token: secret('minted') }, fromCache },
  }) as unknown as Admitted

const valuesOf = (headers: readonly string[], wanted: string) =>
  headers.filter((_value, i) => i % 2 === 1 && headers[i - 1] === wanted)

test('what a caller said of itself is not sent beside what we say', () => {
  const sent = upstreamHeaders(
    admitted(['host', 'api.test', 'authorization', 'Bearer outside', 'x-request-id', 'mine']),
  )
  assert.deepEqual(valuesOf(sent, 'x-request-id'), ['the-decision'])
  assert.deepEqual(valuesOf(sent, 'authorization'), ['Bearer minted'])
  assert.deepEqual(valuesOf(sent, 'host'), [])
  const names = sent.filter((_name, i) => i % 2 === 0)
  assert.equal(new Set(names).size, names.length, 'no header is there twice')
})

test('a token for a public route does not reach the service', () => {
  const sent = upstreamHeaders(admitted(['authorization', 'Bearer outside'], true))
  assert.deepEqual(valuesOf(sent, 'authorization'), [])
})

test('what else a caller sends is passed on as it is', () => {
  const sent = upstreamHeaders(admitted(['accept', 'text/html', 'cookie', 'a=b', 'accept', '*/*']))
  assert.deepEqual(sent.slice(0, 6), ['accept', 'text/html', 'cookie', 'a=b', 'accept', '*/*'])
})

test('a key is the service’s own, except where callers prove who they are by such', () => {
  const headers = ['x-api-key', 'secret', 'signature', 'sig=:AA==:', 'signature-input', 'sig=()']
  assert.deepEqual(upstreamHeaders(admitted(headers)).slice(0, 6), headers)
  const sent = upstreamHeaders(admitted(headers, false, ['basic']))
  for (const name of ['x-api-key', 'signature', 'signature-input'])
    assert.deepEqual(valuesOf(sent, name), [])
})

test('what many requests have in common is one list, each time the same', () => {
  const first = admitted(['accept', '*/*'], false, undefined, true)
  const [one, other] = [headersOf(first), headersOf({ ...first, decisionId: 'another' })]
  assert.equal(one.sharedHeaders.length, 2)
  assert.equal(one.sharedHeaders[0], other.sharedHeaders[0])
  assert.equal(one.sharedHeaders[1], other.sharedHeaders[1])
  assert.deepEqual(valuesOf(upstreamHeaders(first), 'authorization'), ['Bearer minted'])
  assert.deepEqual(valuesOf(other.headers, 'x-request-id'), ['another'])
})
