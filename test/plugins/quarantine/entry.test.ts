import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { selected } from '#contract/quarantine'
import { entryOfOrder, parseEntry } from '#plugins/quarantine/entry'

const nowMs = Date.parse('2030-01-31T12:00:00.000Z')
const parts = { clock: () => nowMs, randomBytes: (count: number) => Buffer.alloc(count, 0xab) }
const order = {
  by: { kind: 'subject', issuer: 'staff', subject: 'ann' },
  reason: 'her laptop was stolen',
  actor: 'ops@example.com',
}

test('an order becomes an entry with an id and the time of the gateway, and reads back as it was', () => {
  const made = entryOfOrder({ ...order, forSeconds: 60, notBefore: 'now' }, parts)
  assert.deepEqual(made, {
    ok: true,
    value: {
      id: 'abababababababab',
      ...order,
      createdAt: '2030-01-31T12:00:00.000Z',
      expiresAt: '2030-01-31T12:01:00.000Z',
      notBefore: '2030-01-31T12:00:00.000Z',
    },
  })
  assert.deepEqual(parseEntry(JSON.parse(JSON.stringify(made.ok && made.value))), made)
})

test('instants are taken in any zone and kept in one', () => {
  const made = entryOfOrder({ ...order, expiresAt: '2030-02-01T01:00:00+02:00' }, parts)
  assert.equal(made.ok && made.value.expiresAt, '2030-01-31T23:00:00.000Z')
})

suite('each selector has one form', () => {
  for (const [by, form] of [
    [{ kind: 'address', network: '203.0.113.0/24' }, { value: '203.0.113.0/24' }],
    [{ kind: 'address', network: '::FFFF:203.0.113.9' }, { value: '203.0.113.9' }],
    [{ kind: 'route', route: 'orders' }, { value: 'orders' }],
    [{ kind: 'client-certificate', sha256: `${'AB:'.repeat(31)}AB` }, { value: 'ab'.repeat(32) }],
    [{ kind: 'issuer', issuer: 'staff' }, { value: 'staff' }],
    [
      { kind: 'subject', issuer: 'staff', subject: 'ann' },
      { value: 'ann', issuer: 'staff' },
    ],
    [
      { kind: 'spiffe-id', spiffeId: 'spiffe://m.example/a/*' },
      { value: 'spiffe://m.example/a/*' },
    ],
    [{ kind: 'spiffe-id', spiffeId: 'spiffe://m.example/*' }, { value: 'spiffe://m.example/*' }],
    [{ kind: 'jti', jti: 'x' }, { value: 'x' }],
    [
      { kind: 'kid', kid: 'k', issuer: 'staff' },
      { value: 'k', issuer: 'staff' },
    ],
  ] as const)
    test(JSON.stringify(by), () => {
      const made = entryOfOrder({ ...order, by }, parts)
      assert.ok(made.ok, JSON.stringify(made))
      assert.deepEqual(selected(made.value.by), { kind: by.kind, ...form })
    })
})

suite('an order is refused that', () => {
  for (const [what, bad, says] of [
    ['is no object', [], /JSON object/],
    ['names what there is not', { ...order, resaon: 'x' }, /"resaon"/],
    ['names nobody', { reason: 'x', actor: 'y' }, /^by must be/],
    [
      'is of no kind',
      { ...order, by: { kind: 'tenant', tenant: 'acme' } },
      /by\.kind must be one of address/,
    ],
    ['has a kind from a prototype', { ...order, by: { kind: 'constructor' } }, /by\.kind/],
    [
      'has a field of another kind',
      { ...order, by: { kind: 'route', route: 'a', issuer: 'b' } },
      /by\.issuer is not for route/,
    ],
    [
      'names a subject of nobody',
      { ...order, by: { kind: 'subject', subject: 'ann' } },
      /by\.issuer/,
    ],
    ['has a number for text', { ...order, by: { kind: 'jti', jti: 7 } }, /by\.jti must be text/],
    ['has an endless value', { ...order, by: { kind: 'jti', jti: 'x'.repeat(2049) } }, /2048/],
    ['has a line break in a value', { ...order, by: { kind: 'jti', jti: 'x\ny' } }, /control/],
    [
      'has no network',
      { ...order, by: { kind: 'address', network: '10.1.2.3/8' } },
      /bits set behind/,
    ],
    [
      'has no SPIFFE ID',
      { ...order, by: { kind: 'spiffe-id', spiffeId: 'spiffe://m.example/a/**' } },
      /SPIFFE ID/,
    ],
    [
      'has a star inside',
      { ...order, by: { kind: 'spiffe-id', spiffeId: 'spiffe://m.example/*/b' } },
      /SPIFFE ID/,
    ],
    [
      'has no certificate',
      { ...order, by: { kind: 'client-certificate', sha256: 'abc' } },
      /64 hex/,
    ],
    ['has no reason', { ...order, reason: '  ' }, /^reason is missing/],
    ['has an endless reason', { ...order, reason: 'x'.repeat(501) }, /500/],
    ['has no actor', { ...order, actor: undefined }, /^actor is missing/],
    ['forges a line of a log', { ...order, actor: 'a\nb' }, /control/],
    ['ends twice', { ...order, forSeconds: 1, expiresAt: '2031-01-01T00:00:00Z' }, /exclude/],
    ['ends at once', { ...order, forSeconds: 0 }, /forSeconds/],
    ['ends in text', { ...order, forSeconds: '60' }, /forSeconds/],
    ['has ended', { ...order, expiresAt: '2030-01-31T12:00:00Z' }, /passed/],
    ['ends some day', { ...order, expiresAt: 'tomorrow' }, /expiresAt must be an instant/],
    [
      'ends on no day',
      { ...order, expiresAt: '2030-02-31T25:00:00Z' },
      /expiresAt must be an instant/,
    ],
    [
      'narrows what has no tokens',
      { ...order, by: { kind: 'route', route: 'a' }, notBefore: 'now' },
      /notBefore goes with/,
    ],
    ['brings its own id', { ...order, id: 'mine' }, /"id"/],
  ] as const)
    test(what, () => {
      const made = entryOfOrder(bad, parts)
      assert.equal(made.ok ? '' : made.problem.tag, 'request-malformed')
      assert.match(made.ok ? '' : (made.problem.detail ?? ''), says)
    })
})
