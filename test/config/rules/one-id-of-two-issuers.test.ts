import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { oneIdOfTwoIssuers } from '#config/rules/one-id-of-two-issuers'
import type { Subject } from '#config/rules/rule'
import { compileTemplate } from '#identity/mapping-template'
import { exchange, gateway, workspace } from '../workspace.ts'

const judge = (templates: readonly (readonly [issuer: string, spiffeId: string])[]) =>
  oneIdOfTwoIssuers({
    identities: templates.map(([issuer, spiffeId], i) => ({
      name: `rule-${i}`,
      pointer: `/identities/${i}`,
      value: { name: `rule-${i}`, issuer, match: {}, spiffeId },
    })),
    legacyCallers: [],
  } as unknown as Subject)

const values = ['a', 'b'].flatMap((one) => [
  one,
  ...['a', 'b'].flatMap((two) => [
    one + two,
    ...['a', 'b'].flatMap((three) => [
      one + two + three,
      ...['a', 'b'].map((four) => one + two + three + four),
    ]),
  ]),
])
/** All that a template gives for values of four letters at most. */
const idsOf = (template: string): ReadonlySet<string> => {
  const compiled = compileTemplate(template, 'mesh.example')
  assert.ok(compiled.ok)
  const ids = new Set<string>()
  for (const x of values)
    for (const y of values) {
      const id = compiled.value({ x, y })
      if (id.ok) ids.add(id.value)
    }
  return ids
}

test('it finds exactly the templates that give one ID for some claims', () => {
  const segment = (claim: string) =>
    fc.constantFrom('a', 'b', 'ab', `{${claim}}`, `a{${claim}}`, `{${claim}}b`, `a{${claim}}b`)
  const template = fc
    .tuple(segment('x'), fc.option(segment('y'), { nil: undefined }))
    .map((parts) => `spiffe://mesh.example/${parts.filter(Boolean).join('/')}`)
  const counts = { found: 0, none: 0 }
  fc.assert(
    fc.property(template, template, (one, other) => {
      const ids = idsOf(one)
      const isOne = [...idsOf(other)].some((id) => ids.has(id))
      const isExpected = isOne && (one.includes('{') || other.includes('{'))
      const found = judge([
        ['main', one],
        ['other', other],
      ])
      assert.equal(found.length, isExpected ? 1 : 0, `${one} ${other}`)
      assert.deepEqual(
        judge([
          ['main', one],
          ['main', other],
        ]),
        [],
      ) // those of one issuer are told apart by claims
      counts[isExpected ? 'found' : 'none']++
    }),
    { numRuns: 300, seed: 7 },
  )
  assert.ok(Math.min(...Object.values(counts)) > 30, JSON.stringify(counts))
})

test('it warns of two lines, naming both, and of legacy callers', async (t) => {
  const more = (text: string) =>
    text
      .replace(
        'identities:\n',
        '  other: { issuer: https://other.example, audiences: [x] }\nidentities:\n',
      )
      .replace(
        /( {2}- name: people\n(?:.*\n){2})/,
        '$1  - { name: partners, issuer: other, spiffeId: "spiffe://mesh.example/{kind}/{sub}" }\n',
      )
  const legacy = `legacy:\n  callers:\n    printer: { spiffeId: spiffe://mesh.example/legacy/printer, credential: { method: api_key, keyHashes: ['sha256:${'0'.repeat(64)}'] } }\n`
  const { warnings } = await workspace(t, {
    'gateway.yaml': more(gateway()),
    'exchange.yaml': more(exchange()) + legacy,
  }).check(['gateway.yaml', 'exchange.yaml'])
  const said = warnings.filter((warning) => warning.includes('can give the SPIFFE ID'))
  assert.deepEqual(
    said.map((text) => text.replace(/:\d+:\d+: /, ': ')),
    [
      'gateway.yaml: identity rule `partners` of issuer `other` can give the SPIFFE ID that identity rule `people` of issuer `main` gives (identities[0].spiffeId): a caller of the one is then taken for one of the other — begin the path of each issuer with a segment of its own',
      'exchange.yaml: identity rule `partners` of issuer `other` can give the SPIFFE ID that legacy caller `printer` gives (legacy.callers.printer.spiffeId): a caller of the one is then taken for one of the other — begin the path of each issuer with a segment of its own',
      'exchange.yaml: identity rule `partners` of issuer `other` can give the SPIFFE ID that identity rule `people` of issuer `main` gives (identities[0].spiffeId): a caller of the one is then taken for one of the other — begin the path of each issuer with a segment of its own',
    ],
  )
})
