import assert from 'node:assert/strict'
import { test } from 'node:test'
import { secret } from '#contract/secret'
import type { SpiffeId } from '#contract/spiffe-id'
import type { Upstream } from '#config/schema'
import { upstreamGroup } from '#gateway/upstream/upstream-group'
import type { UpstreamClient } from '#http/upstream-client'
import type { OwnSvid, Svid } from '#identity/svid/svid'

const id = 'spiffe://mesh.test/orders' as SpiffeId
const svid = (name: string): Svid => ({
  spiffeId: 'spiffe://mesh.test/gateway' as SpiffeId,
  certificateChain: name,
  privateKey: secret(''),
  bundle: '',
  notBeforeMs: 0,
  notAfterMs: 1,
})

const setUp = (endpoints: readonly string[], maxInFlight = 10) => {
  let current = svid('first')
  let changed = (_svid: Svid) => {}
  const ownSvid: OwnSvid = {
    current: () => current,
    onChange: (listener) => {
      changed = listener
      return () => {
        changed = () => {}
      }
    },
    close: () => {},
  }
  const made: string[] = []
  const closed: string[] = []
  const group = upstreamGroup(
    'orders',
    { endpoints, maxInFlight } as unknown as Upstream,
    id,
    ownSvid,
    (endpoint, { certificateChain }) => {
      const name = `${endpoint} ${certificateChain}`
      made.push(name)
      return {
        dispatch: () => {},
        close: async () => void closed.push(name),
        destroy: () => {},
        stats: () => ({ open: 0, connecting: 0, inFlight: 0, queued: 0 }),
      } satisfies UpstreamClient
    },
  )
  const renew = (name: string) => {
    current = svid(name)
    changed(current)
  }
  return { group, made, closed, renew }
}

test('endpoints are taken in turn', () => {
  const { group } = setUp(['a', 'b', 'c'])
  const taken = Array.from({ length: 6 }, () => group.pick()?.endpoint)
  assert.deepEqual(taken.toSorted(), ['a', 'a', 'b', 'b', 'c', 'c'])
  assert.deepEqual(taken.slice(0, 3), taken.slice(3))
})

test('no more are under way than may be', () => {
  const { group } = setUp(['a'], 2)
  assert.ok(group.pick())
  assert.ok(group.pick())
  assert.equal(group.pick(), undefined)
  group.done()
  assert.ok(group.pick())
  assert.equal(group.inFlight(), 2)
})

test('a renewed SVID makes new connections; the old ones may finish', () => {
  const { group, made, closed, renew } = setUp(['a', 'b'])
  renew('second')
  assert.deepEqual(made, ['a first', 'b first', 'a second', 'b second'])
  assert.deepEqual(closed, ['a first', 'b first'])
  assert.ok(group.pick())
})

test('closing it ends its following of the SVID', async () => {
  const { group, made, closed, renew } = setUp(['a'])
  await group.close()
  renew('second')
  assert.deepEqual([made, closed], [['a first'], ['a first']])
})
