import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { QuarantineSelector, WhereFrom, WhoCalls } from '#contract/quarantine'
import { entryIndex } from '#plugins/quarantine/entry-index'
import { caller, entryAbout, place } from './entries.ts'

const nowMs = Date.now()
const certificate = 'ab'.repeat(32)

suite('who is cut off', () => {
  const rows: readonly (readonly [QuarantineSelector, Partial<WhoCalls>, boolean])[] = [
    [{ kind: 'issuer', issuer: 'staff' }, {}, true],
    [{ kind: 'issuer', issuer: 'https://login.example' }, {}, true],
    [{ kind: 'issuer', issuer: 'partners' }, {}, false],
    [{ kind: 'subject', issuer: 'staff', subject: 'ann' }, {}, true],
    [{ kind: 'subject', issuer: 'https://login.example', subject: 'ann' }, {}, true],
    [{ kind: 'subject', issuer: 'partners', subject: 'ann' }, {}, false],
    [{ kind: 'subject', issuer: 'staff', subject: 'ann' }, { subject: 'anna' }, false],
    [{ kind: 'kid', kid: 'key-1' }, {}, true],
    [{ kind: 'kid', kid: 'key-1', issuer: 'staff' }, {}, true],
    [{ kind: 'kid', kid: 'key-1', issuer: 'partners' }, {}, false],
    [{ kind: 'jti', jti: 'token-1' }, {}, true],
    [{ kind: 'jti', jti: 'token-1' }, { jti: undefined }, false],
    [{ kind: 'jti', jti: 'token-1', issuer: 'partners' }, {}, false],
    [{ kind: 'spiffe-id', spiffeId: 'spiffe://mesh.example/people/ann' }, {}, true],
    [{ kind: 'spiffe-id', spiffeId: 'spiffe://mesh.example/people' }, {}, false],
    [{ kind: 'spiffe-id', spiffeId: 'spiffe://mesh.example/people/*' }, {}, true],
    [{ kind: 'spiffe-id', spiffeId: 'spiffe://mesh.example/*' }, {}, true],
    [{ kind: 'spiffe-id', spiffeId: 'spiffe://mesh.example/peop/*' }, {}, false],
    [{ kind: 'spiffe-id', spiffeId: 'spiffe://mesh.example/people/ann/*' }, {}, false],
    [
      { kind: 'spiffe-id', spiffeId: 'spiffe://mesh.example/people/*' },
      { spiffeId: undefined },
      false,
    ],
    [{ kind: 'route', route: 'staff' }, {}, false],
  ]
  for (const [by, who, isCutOff] of rows)
    test(`${JSON.stringify(by)} ${isCutOff ? 'cuts off' : 'leaves'} ${JSON.stringify(who)}`, () => {
      const index = entryIndex()
      const entry = entryAbout(by)
      index.put(entry)
      assert.equal(index.findWho(caller(who), nowMs)?.entry, isCutOff ? entry : undefined)
      index.remove(entry.id)
      assert.equal(index.findWho(caller(who), nowMs), undefined)
    })
})

suite('where from is cut off', () => {
  const rows: readonly (readonly [QuarantineSelector, Partial<WhereFrom>, boolean])[] = [
    [{ kind: 'address', network: '203.0.113.9' }, {}, true],
    [{ kind: 'address', network: '203.0.113.8' }, {}, false],
    [{ kind: 'address', network: '203.0.113.8/31' }, {}, true],
    [{ kind: 'address', network: '203.0.113.0/24' }, {}, true],
    [{ kind: 'address', network: '0.0.0.0/0' }, {}, true],
    [{ kind: 'address', network: '0.0.0.0/0' }, { address: '::1' }, false],
    [{ kind: 'address', network: '2001:db8::/32' }, { address: '2001:db8:0:0::7' }, true],
    [{ kind: 'address', network: '2001:db8::/32' }, { address: '2001:DB8:1::' }, true],
    [{ kind: 'address', network: '2001:db8::/32' }, { address: '2001:db9::' }, false],
    [{ kind: 'address', network: '2001:db8::/33' }, { address: '2001:db8:8000::' }, false],
    // One caller, three spellings.
    [{ kind: 'address', network: '203.0.113.9' }, { address: '::ffff:203.0.113.9' }, true],
    [{ kind: 'address', network: '203.0.113.9' }, { address: '::ffff:cb00:7109' }, true],
    // Whoever connects is cut off, too, whomever it says it speaks for.
    [{ kind: 'address', network: '198.51.100.1' }, { peerAddress: '198.51.100.1' }, true],
    [{ kind: 'address', network: '203.0.113.9' }, { address: 'no address' }, false],
    [{ kind: 'route', route: 'orders' }, {}, true],
    [{ kind: 'route', route: 'orders' }, { route: 'billing' }, false],
    [{ kind: 'route', route: 'orders' }, { route: undefined }, false],
    [{ kind: 'client-certificate', sha256: certificate }, { certificateSha256: certificate }, true],
    [
      { kind: 'client-certificate', sha256: certificate },
      { certificateSha256: 'cd'.repeat(32) },
      false,
    ],
    [{ kind: 'client-certificate', sha256: certificate }, {}, false],
  ]
  for (const [by, from, isCutOff] of rows)
    test(`${JSON.stringify(by)} ${isCutOff ? 'cuts off' : 'leaves'} ${JSON.stringify(from)}`, () => {
      const index = entryIndex()
      const entry = entryAbout(by)
      assert.equal(index.findWhere(place(from), nowMs), undefined) // and is not remembered
      index.put(entry)
      assert.equal(index.findWhere(place(from), nowMs)?.entry, isCutOff ? entry : undefined)
      index.remove(entry.id)
      assert.equal(index.findWhere(place(from), nowMs), undefined)
    })
})

suite('an entry about tokens issued before an instant', () => {
  const index = entryIndex()
  index.put(
    entryAbout(
      { kind: 'subject', issuer: 'staff', subject: 'ann' },
      { notBefore: new Date(2_000_000).toISOString() },
    ),
  )
  for (const [issuedAtMs, isCutOff] of [
    [1_999_000, true],
    [2_000_000, false],
    [undefined, true],
  ] as const)
    test(`${isCutOff ? 'cuts off' : 'leaves'} one issued at ${issuedAtMs}`, () =>
      assert.equal(index.findWho(caller({ issuedAtMs }), nowMs) !== undefined, isCutOff))
})

test('an entry that has ended gives way to one about the same that has not', () => {
  const index = entryIndex()
  const by: QuarantineSelector = { kind: 'route', route: 'orders' }
  const stays = entryAbout(by)
  index.put(entryAbout(by, { expiresAt: new Date(nowMs).toISOString() }))
  index.put(stays)
  assert.equal(index.findWhere(place(), nowMs)?.entry, stays)
})

test('what has ended is taken out, and its place with it', () => {
  const index = entryIndex()
  for (let i = 0; i < 10; i += 1)
    index.put(
      entryAbout(
        { kind: 'address', network: `203.0.113.${i}` },
        { expiresAt: new Date(nowMs + i * 1000).toISOString() },
      ),
    )
  assert.equal(index.prune(nowMs - 1).length, 0)
  assert.equal(index.prune(nowMs + 4000).length, 5)
  assert.deepEqual([index.size(), index.counts().address], [5, 5])
  assert.equal(index.prune(nowMs + 60_000).length, 5)
  assert.deepEqual([index.size(), index.counts().address], [0, 0])
})

test('every kind among 100,000 entries is found, and what is not there is not', () => {
  const index = entryIndex()
  const perKind = 12_500
  for (let i = 0; i < perKind; i += 1)
    for (const by of [
      { kind: 'address', network: `10.${i >> 8}.${i & 255}.0/24` },
      { kind: 'address', network: `2001:db8:${i.toString(16)}::/48` },
      { kind: 'route', route: `route-${i}` },
      { kind: 'subject', issuer: 'staff', subject: `subject-${i}` },
      { kind: 'spiffe-id', spiffeId: `spiffe://mesh.example/one/${i}` },
      { kind: 'spiffe-id', spiffeId: `spiffe://mesh.example/all/${i}/*` },
      { kind: 'jti', jti: `jti-${i}` },
      { kind: 'kid', kid: `kid-${i}` },
    ] as const)
      index.put(entryAbout(by))
  assert.equal(index.size(), 100_000)
  const i = perKind - 1
  const found = [
    index.findWhere(place({ address: `10.${i >> 8}.${i & 255}.77` }), nowMs),
    index.findWhere(place({ address: `2001:db8:${i.toString(16)}::1` }), nowMs),
    index.findWhere(place({ route: `route-${i}` }), nowMs),
    index.findWho(caller({ subject: `subject-${i}` }), nowMs),
    index.findWho(caller({ spiffeId: `spiffe://mesh.example/one/${i}` }), nowMs),
    index.findWho(caller({ spiffeId: `spiffe://mesh.example/all/${i}/x/y` }), nowMs),
    index.findWho(caller({ jti: `jti-${i}` }), nowMs),
    index.findWho(caller({ kid: `kid-${i}` }), nowMs),
  ]
  assert.ok(found.every((held) => held !== undefined))
  assert.equal(index.findWhere(place(), nowMs), undefined)
  assert.equal(index.findWho(caller(), nowMs), undefined)
})
