import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { Ajv } from 'ajv'
import * as fc from 'fast-check'
import type { AuditEvent } from '#contract/audit-event'
import { legacyMethods } from '#contract/legacy'
import { problems, type ProblemTag } from '#contract/problem'
import { quarantineKinds } from '#contract/quarantine'
import { eventEncoder, shownAsTheyAre } from '#plugins/audit-log/encode'
import { AuditEventSchema } from '#plugins/audit-log/event-schema'
import { scrub, scrubPath } from '#plugins/audit-log/scrub'

const encodeEvent = eventEncoder()
const bytesOf = (line: string): Buffer => shownAsTheyAre(Buffer.from(line), line.length)

/** Any text at all: controls, halves of pairs, marks of direction. */
const text = fc.string({
  unit: fc.nat(0xffff).map((code) => String.fromCharCode(code)),
  maxLength: 30,
})
const count = fc.nat()
type Fields<T> = { [Key in keyof Required<T>]: fc.Arbitrary<NonNullable<T[Key]>> }

const request: Fields<NonNullable<AuditEvent['request']>> = {
  method: text,
  host: text,
  path: text,
  protocol: text,
  address: text,
  tls: text,
  clientSpiffeId: text,
}
const caller: Fields<NonNullable<AuditEvent['caller']>> = {
  issuer: text,
  subject: text,
  tokenFingerprint: text,
  kid: text,
  jti: text,
  expiresAt: text,
}
const reason = fc.record({
  code: text,
  class: fc.constantFrom('role' as const, 'time' as const),
  message: text,
})

/** Every field there is: a new one is a type error here until it is tried, too. */
const fields: Fields<AuditEvent> = {
  version: fc.constant(1),
  kind: fc.constantFrom('ingress', 'egress', 'exchange', 'admin'),
  time: text,
  decisionId: text,
  outcome: fc.constantFrom('forwarded', 'refused', 'failed', 'answered'),
  step: text,
  problem: fc.constantFrom(...(Object.keys(problems) as ProblemTag[]), 'none' as const),
  detail: text,
  cause: text,
  status: count,
  grpcStatus: fc.integer({ min: 0, max: 16 }),
  durationMs: fc.double({ noNaN: true, min: 0, max: 1e9 }),
  bytesIn: count,
  bytesOut: count,
  door: fc.constantFrom('request', 'upgrade', 'connect'),
  request: fc.record(request, { requiredKeys: ['method', 'host', 'path', 'protocol', 'address'] }),
  route: fc.record({ id: text, team: text }),
  credential: fc.constantFrom(...legacyMethods),
  caller: fc.record(caller, {
    requiredKeys: ['issuer', 'subject', 'tokenFingerprint', 'kid', 'expiresAt'],
  }),
  spiffeId: text,
  mapping: text,
  mappingRevision: text,
  traceId: text,
  asked: fc.record(
    { tokenType: text, audience: text, scope: text },
    { requiredKeys: ['tokenType', 'audience'] },
  ),
  egress: fc.record({
    phase: fc.constantFrom('opened', 'closed', 'whole'),
    host: text,
    port: count,
  }),
  waf: fc.record({
    mode: fc.constantFrom('enforce' as const, 'detect' as const),
    inboundScore: count,
    outboundScore: count,
    rules: fc.array(
      fc.record({ id: count, message: text, variable: text, matched: text, exclusion: text }),
      { maxLength: 3 },
    ),
    moreMatches: count,
  }),
  quota: fc.record(
    { limit: count, remaining: count, reportOnly: fc.constant(true as const) },
    { requiredKeys: ['limit', 'remaining'] },
  ),
  policy: fc.record({
    allow: fc.boolean(),
    reasons: fc.array(reason, { maxLength: 3 }),
    revision: text,
  }),
  minted: fc.record({
    scope: text,
    txn: text,
    tokenType: text,
    subject: text,
    audience: text,
    jti: text,
    kid: text,
    expiresAt: text,
    fromCache: fc.boolean(),
  }),
  upstream: fc.record({ name: text, endpoint: text, spiffeId: text }),
  parent: text,
  client: text,
  actor: text,
  grant: text,
  quarantine: fc.record({
    id: text,
    kind: fc.constantFrom(...quarantineKinds),
    value: text,
    reason: text,
    actor: text,
  }),
  orderedBy: text,
}
const event = fc.record(fields, {
  requiredKeys: [
    ...(['version', 'kind', 'time', 'decisionId', 'outcome', 'step', 'problem'] as const),
    ...(['status', 'durationMs', 'bytesIn', 'bytesOut'] as const),
  ],
}) as fc.Arbitrary<AuditEvent>

const scrubbed = (given: AuditEvent): AuditEvent => ({
  ...given,
  ...(given.detail !== undefined && { detail: scrub(given.detail) }),
  ...(given.cause !== undefined && { cause: scrub(given.cause) }),
  ...(given.request && { request: { ...given.request, path: scrubPath(given.request.path) } }),
  ...(given.asked && {
    asked: {
      ...given.asked,
      audience: scrub(given.asked.audience),
      ...(given.asked.scope !== undefined && { scope: scrub(given.asked.scope) }),
    },
  }),
  ...(given.quarantine && {
    quarantine: { ...given.quarantine, reason: scrub(given.quarantine.reason) },
  }),
})

suite('an encoded record', () => {
  test('says what the event says, in one line that shows what it is', () => {
    let events = 0
    fc.assert(
      fc.property(event, (given) => {
        events++
        const line = bytesOf(encodeEvent(given)).toString('utf8')
        assert.equal(line.indexOf('\n'), line.length - 1)
        assert.doesNotMatch(line.slice(0, -1), /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u)
        assert.deepEqual(JSON.parse(line), JSON.parse(JSON.stringify(scrubbed(given))))
      }),
      { numRuns: 300 },
    )
    assert.ok(events >= 300)
  })

  test('of plain text is what JSON.stringify gives', () => {
    const given = plain()
    assert.equal(encodeEvent(given), `${JSON.stringify(given)}\n`)
    assert.equal(bytesOf(encodeEvent(given)).toString('latin1'), encodeEvent(given))
  })

  test('writes what is shared once, and what may change anew each time', () => {
    const route = Object.freeze({ id: 'orders', team: 'shop' })
    const caller = { issuer: 'a', subject: 's', tokenFingerprint: 'f', kid: 'k', expiresAt: 'e' }
    for (const subject of ['s', 't']) {
      caller.subject = subject
      const given = { ...plain(), route, caller }
      assert.equal(encodeEvent(given), `${JSON.stringify(given)}\n`)
    }
  })

  test('of the same caller says what is another now', () => {
    const said = { issuer: 'a', subject: 's', tokenFingerprint: 'f', kid: 'k', expiresAt: 'e' }
    const caller = Object.freeze(said)
    const whole = {
      tokenType: 't',
      subject: 's',
      audience: 'a',
      kid: 'k',
      expiresAt: 'e',
      fromCache: true,
    }
    const lasting = {
      route: [Object.freeze({ id: 'orders', team: 'shop' }), { id: 'x', team: 'y' }],
      spiffeId: ['spiffe://a/b', 'spiffe://a/c'],
      mapping: ['people', 'others'],
      mappingRevision: ['1', '2'],
      credential: [undefined, 'api-key'],
      policy: [{ allow: true, reasons: [], revision: '1' }],
      minted: ['one', 'two'].map((jti) => Object.freeze({ ...whole, jti })),
      upstream: [Object.freeze({ name: 'orders', endpoint: 'a', spiffeId: 'b' })],
    }
    let records = 0
    for (const [name, values] of Object.entries(lasting))
      for (const value of [...values, undefined, ...values]) {
        const base = { ...plain(), route: lasting.route[0], caller, spiffeId: 'spiffe://a/b' }
        const given = { ...base, [name]: value } as AuditEvent
        for (let times = 0; times < 3; times++) {
          records++
          assert.deepEqual(JSON.parse(encodeEvent(given)), JSON.parse(JSON.stringify(given)))
        }
      }
    assert.equal(records, 3 * (5 + 5 + 5 + 5 + 5 + 3 + 5 + 3))
  })

  test('writes numbers as JSON does', () => {
    const durations = [0, 0.001, 0.01, 0.1, 1, 1.5, 12.34, 999.999, 1e6, 1e9, 0.0005, 1 / 3, 1e21]
    for (let count = 0; count < 3000; count++) durations.push(count / 1000)
    for (const durationMs of durations) {
      const given = { ...plain(), durationMs }
      assert.equal(encodeEvent(given), `${JSON.stringify(given)}\n`)
    }
  })

  test('does not change the event', () => {
    const given = { ...plain(), cause: 'Bearer abcdefghijklmnop' }
    const before = structuredClone(given)
    assert.match(encodeEvent(given), /"cause":"Bearer \[scrubbed\]"/)
    assert.deepEqual(given, before)
  })

  test('fits the published schema', () => {
    const fits = new Ajv({ strict: false }).compile(AuditEventSchema)
    fc.assert(
      fc.property(event, (given) =>
        assert.ok(fits(JSON.parse(encodeEvent(given))), JSON.stringify(fits.errors)),
      ),
      { numRuns: 100 },
    )
    assert.equal(fits({ ...plain(), kind: 'other' }), false)
  })
})

function plain(): AuditEvent {
  return {
    version: 1,
    kind: 'ingress',
    time: '2025-11-25T12:00:00.000Z',
    decisionId: 'd-1',
    outcome: 'refused',
    step: 'authorise',
    problem: 'policy-denied',
    status: 403,
    durationMs: 1.25,
    bytesIn: 0,
    bytesOut: 130,
    request: { method: 'GET', host: 'a', path: '/b', protocol: 'HTTP/1.1', address: '192.0.2.1' },
  }
}
