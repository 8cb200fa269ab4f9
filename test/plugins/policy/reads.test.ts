// What a bundle says that its policy reads: whoever is the same to the policy is decided alike, and nobody else.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { suite, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import * as fc from 'fast-check'
import { findOpa } from '#config/policy/opa'
import { readsOf } from '#config/policy/reads'
import { bundleFile } from '#config/policy/sources'
import type { PolicyEngine, PolicyInput } from '#contract/policy'
import { noLog, noMeter } from '#contract/telemetry'
import { loadPolicyBundle } from '#plugins/policy/bundle'
import { readBundleFile } from '#plugins/policy/bundle-file'
import { policyEngine } from '#plugins/policy/engine'
import { maxBytesOfRest, readsIn, textOfReads } from '#plugins/policy/reads'
import { readTar } from '#plugins/policy/tar'
import { inputOf, needsOpa, optionsOf, writeTemporary } from './policies.ts'
import { bundleOf } from './tar-writer.ts'

const shipped = readTar(gunzipSync(readFileSync(bundleFile)), {
  maxMembers: 100,
  maxNameBytes: 100,
})
const memberOf = (name: string) => shipped.get(name) ?? Buffer.alloc(0)
/** The same module and data, of which nothing is said. */
const silentBundle = writeTemporary(
  bundleOf(
    ['data.json', 'policy.wasm'].map((name) => ({ name: `/${name}`, content: memberOf(name) })),
  ),
)
const entrypoints = ['sallyport/decision', 'sallyport/exchange', 'sallyport/egress']
const optionsAt = (entrypoint: string, file = bundleFile) =>
  optionsOf({ entrypoint, bundleFile: file, maxInputBytes: 4096 })
const engineOf = (entrypoint: string, file?: string): PolicyEngine => {
  const options = optionsAt(entrypoint, file)
  return policyEngine(loadPolicyBundle(options), options, { meter: noMeter, log: noLog })
}

const some = <T>(...values: T[]) => fc.constantFrom(...values)
const anyRequirements = fc.oneof(
  some<PolicyInput['route']['requires']>(
    {},
    { public: true },
    { public: 'yes' },
    { kinds: ['external', 'mesh'] },
    { roles: { any: ['viewer', 'deployer'] } },
    { roles: { any: ['admin'], all: ['viewer'] } },
    { scopes: ['orders'], methods: ['GET'] },
    { tenant: { segment: 1 } },
    { window: 'office-hours' },
    { protocols: ['https'] },
    { role: ['viewer'] },
  ),
  fc.dictionary(
    some('public', 'kinds', 'roles', 'scopes', 'tenant', 'methods', 'window', 'protocols', 'x'),
    fc.oneof(
      fc.boolean(),
      some<string | number | null>('orders', null, 1),
      fc.array(some('viewer', 'orders', 'GET')),
    ),
  ),
)
const anyClaims = fc.record(
  {
    realm_access: some<unknown>(
      { roles: ['shop-editor'] },
      { roles: 'shop-admin' },
      ['shop-admin'],
      null,
    ),
    scope: some<unknown>('openid orders', ['orders'], 7),
    tenant: some<unknown>('acme', 'globex', '', null),
    repository: some('example/shop', 'example/other'),
  },
  { requiredKeys: [] },
)
const anyText = fc.oneof(
  { weight: 30, arbitrary: fc.string() },
  { weight: 1, arbitrary: some('', 'ключ', '\ud800', 'x'.repeat(5000)) },
)
const anyInput: fc.Arbitrary<PolicyInput> = fc
  .record({
    version: some(1, 2),
    nowMs: some(1_764_072_000_000, 1_764_090_000_000),
    direction: some('ingress', 'egress', 'exchange'),
    trustDomain: some('mesh.example', 'other.example'),
    request: fc.record({
      method: some('GET', 'PUT'),
      host: anyText,
      path: anyText,
      segments: some(['tenants', 'acme'], ['tenants', 'globex'], []),
      query: anyText,
      headers: fc.dictionary(some('a', 'b'), anyText),
    }),
    route: fc.record({ id: anyText, team: anyText, requires: anyRequirements }),
    subject: fc.record({
      spiffeId: some(null, 'spiffe://mesh.example/a', 'spiffe://mesh.example/b'),
      issuer: some(null, 'staff', 'pipelines', 'stranger'),
      kind: some('external', 'mesh', 'anonymous'),
      claims: anyClaims,
    }),
    tls: fc.record({ version: some('TLSv1.2', 'TLSv1.3'), clientSpiffeId: fc.constant(null) }),
    net: fc.record({ address: some('192.0.2.7', '192.0.2.8') }),
    more: some(
      {},
      { egress: { protocol: 'https' } },
      { egress: { protocol: 7 } },
      { egress: null },
    ),
  })
  .map(({ more, ...input }) => ({ ...input, ...more }) as PolicyInput)

suite('what a policy reads', () => {
  test('is said in the bundle that is shipped, of its module', () => {
    const { manifest, wasmDigest } = readBundleFile(bundleFile)
    for (const entrypoint of entrypoints) {
      const reads = readsIn(manifest, entrypoint, wasmDigest)
      assert.ok(reads, entrypoint)
      assert.ok(reads.values.includes('subject.claims') && !reads.values.includes('net.address'))
      assert.ok(reads.strings.includes('subject.spiffeId'))
      assert.ok(!reads.values.includes('subject.spiffeId'))
    }
  })

  test('is not believed of another module, nor when it is not what it must be', () => {
    const { manifest, wasmDigest } = readBundleFile(bundleFile)
    assert.equal(readsIn(manifest, 'sallyport/decision', wasmDigest.replace(/^./, 'x')), undefined)
    assert.equal(readsIn(manifest, 'sallyport/other', wasmDigest), undefined)
    const said = (reads: unknown) => ({
      metadata: { sallyport: { wasm: 'w', reads: { e: reads } } },
    })
    assert.ok(readsIn(said({ values: ['a'], strings: [] }), 'e', 'w'))
    for (const reads of [
      undefined,
      null,
      {},
      { values: ['a'] },
      { values: 'a', strings: [] },
      { values: [''], strings: [] },
      { values: ['a.'], strings: [] },
      { values: [1], strings: [] },
      { values: Array.from({ length: 31 }, () => 'a'), strings: [] },
    ])
      assert.equal(readsIn(said(reads), 'e', 'w'), undefined, JSON.stringify(reads))
    for (const broken of [{}, { metadata: 1 }, { metadata: { sallyport: [] } }])
      assert.equal(readsIn(broken, 'e', 'w'), undefined)
  })

  test('tells what is not there from what is null, and one member from another', () => {
    const textOf = textOfReads({
      values: ['exchange.actor', 'route.team'],
      strings: ['subject.issuer'],
    })
    const { exchange: _, ...base } = { exchange: undefined, ...inputOf() }
    const texts = [
      base,
      { ...base, exchange: {} },
      { ...base, exchange: { actor: null } },
      { ...base, exchange: { actor: 'a' } },
      { ...base, exchange: { actor: ['a'] } },
      { ...base, route: { ...base.route, team: 'a","b' } },
      { ...base, subject: { ...base.subject, issuer: null } },
      { ...base, subject: {} }, // no answer to the question is not the answer "no"
    ].map((input) => textOf(input as unknown as PolicyInput))
    assert.equal(texts[0], texts[1]) // the policy sees neither
    assert.equal(new Set(texts).size, texts.length - 1)
    assert.equal(textOf({ ...base, subject: { ...base.subject, issuer: 'another' } }), texts[0])
  })

  test('a list has no member by name, its length neither', () => {
    const textOf = textOfReads({ values: ['subject.claims.groups.length'], strings: [] })
    const base = inputOf()
    const [none, list, object] = [undefined, ['a', 'b'], { length: 2 }].map((groups) =>
      textOf({ ...base, subject: { ...base.subject, claims: { groups } } }),
    )
    assert.equal(list, none)
    assert.notEqual(list, object)
  })

  test('is all that makes a difference: who looks alike is decided as if nothing were remembered', () => {
    let alike = 0
    for (const entrypoint of entrypoints) {
      const engine = engineOf(entrypoint)
      const silent = engineOf(entrypoint, silentBundle)
      const { manifest, wasmDigest } = readBundleFile(bundleFile)
      const reads = readsIn(manifest, entrypoint, wasmDigest)
      assert.ok(reads)
      const textOf = textOfReads(reads)
      const decide = (by: PolicyEngine, input: PolicyInput) => {
        const decided = by.decide(input)
        assert.ok(!(decided instanceof Promise))
        const decision = decided.ok ? decided.value : decided.problem.cause
        // The revision of a bundle without manifest is another one.
        return { ok: decided.ok, ...(decision as object), revision: '' }
      }
      fc.assert(
        fc.property(anyInput, anyInput, (one, other) => {
          const { requires } = one.route
          const { host, path, query, headers } = other.request
          const twin: PolicyInput = {
            ...one,
            trustDomain: other.trustDomain,
            request: { ...one.request, host, path, query, headers },
            route: { ...other.route, requires },
            subject: {
              ...one.subject,
              spiffeId: one.subject.spiffeId && 'spiffe://mesh.example/twin',
            },
            tls: other.tls,
            net: other.net,
          }
          if (textOf(one) === textOf(twin)) alike++
          for (const input of [one, twin])
            assert.deepEqual(decide(engine, input), decide(silent, input))
        }),
        { numRuns: 700 },
      )
    }
    assert.ok(alike >= 3 * 700, `only ${alike} looked alike`)
  })

  test('what is beside it is never taken for smaller than it is', () => {
    const { manifest, wasmDigest } = readBundleFile(bundleFile)
    const reads = readsIn(manifest, 'sallyport/decision', wasmDigest)
    assert.ok(reads)
    const [bytesOfRest, textOf] = [maxBytesOfRest(reads), textOfReads(reads)]
    const strange = fc.string({ unit: 'binary' })
    fc.assert(
      fc.property(anyInput, fc.dictionary(strange, strange), (input, headers) => {
        const whole = { ...input, request: { ...input.request, headers } }
        const text = JSON.stringify(whole)
        const most = Buffer.byteLength(textOf(whole)) + bytesOfRest(whole)
        assert.ok(most >= Buffer.byteLength(text))
        if (text.replaceAll('\\\\', '').includes('\\ud')) assert.equal(most, Infinity)
      }),
    )
  })

  test('does not let through what is too large or no Unicode in what it does not read', () => {
    const engine = engineOf('sallyport/decision')
    const asked = inputOf({ requires: { roles: { any: ['viewer'] } } })
    const at = (query: string) => engine.decide({ ...asked, request: { ...asked.request, query } })
    const codes = (query: string) => {
      const decided = at(query)
      assert.ok(!(decided instanceof Promise))
      return decided.ok
        ? 'allowed'
        : (decided.problem.cause as { reasons: { code: string }[] }).reasons[0]?.code
    }
    for (let time = 0; time < 2; time++) {
      assert.equal(codes(''), 'allowed')
      assert.equal(codes('\ud800'), 'input-not-unicode')
      assert.equal(codes('x'.repeat(4096)), 'input-too-large')
      assert.equal(codes('ä'.repeat(2048)), 'input-too-large')
    }
  })
})

suite('what OPA finds that a policy reads', needsOpa, () => {
  const opa = findOpa() ?? 'opa'
  const readsIn = (rego: string) => {
    const file = writeTemporary(`package sallyport\n${rego}\n`, 'policy.rego')
    return readsOf(opa, dirname(file), [basename(file)], 'sallyport/decision')
  }

  for (const [rego, values, strings] of [
    ['decision if { input.net.address == "a" }', ['net.address'], []],
    ['decision := x if { s := input.subject; x := s.spiffeId }', ['subject.spiffeId'], []],
    ['decision if {\n\tis_string(input.subject.spiffeId)\n}', [], ['subject.spiffeId']],
    ['# `not`\ndecision if {\n\tnot is_string(input.net.a)\n}', [], ['net.a']],
    [
      'decision if {\nis_string(input.subject.spiffeId)\ninput.subject.spiffeId != "a"\n}',
      ['subject.spiffeId'],
      ['subject.spiffeId'],
    ],
    ['decision if { input.request.headers["x-y"] == "a" }', ['request.headers'], []],
    ['decision if { some k; input.subject[k] == 1 }', ['subject'], []],
    [
      'decision if { every v in input.request.segments { v != input.net.address } }',
      ['net.address', 'request.segments'],
      [],
    ],
    // Not the question whether it is a string, or another than it seems:
    [
      'decision if { data.sallyport.is_string(input.net.address) }\nis_string(x) if x == "a"',
      ['net.address'],
      [],
    ],
    ['decision if { input.net["is_string(input.a)"] }', ['net'], []],
    ['decision := net[`\nis_string(input.a)\n`]\nnet := input.net', ['net'], []],
    ['is_string(x) if x == "a"\ndecision if {\nis_string(input.net.a)\n}', ['net.a'], []],
    [
      'import data.sallyport.f as is_string\nf(x) if x == "a"\ndecision if {\nis_string(input.net.a)\n}',
      ['net.a'],
      [],
    ],
  ] as const)
    test(rego, () => assert.deepEqual(readsIn(rego), { values, strings }))

  for (const rego of [
    'decision := f(input)\nf(x) := x.subject.spiffeId',
    'decision := [v | some k; v := input[k]]',
    'decision := object.get(input, ["subject", "spiffeId"], null)',
    'decision := z if { {"subject": {"spiffeId": z}} = input }',
    // OPA misses what `f` reads, and `net` but for its address.
    'decision if { data.lib.q with data.lib.f as g }\ng(_) := input.net.address',
    'decision if { net := input.net; net.address == "a"; g with input as net }\ng if input.b',
    'decision if { g with input.net.address as input.tls.version }\ng if input.net.address == "a"',
    'decision if { every x in [1] { g with input as x } }\ng if input.b',
    'decision if { g with is_string as f }\ng if is_string(input.a)\nf(x) if x == "b"',
    'decision := [', // which OPA cannot read
  ])
    test(`all of it: ${rego}`, () => assert.equal(readsIn(rego), undefined))
})
