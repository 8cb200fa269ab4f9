import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { bundleFile, readBundleSources } from '#config/policy/sources'
import { loadPolicyBundle } from '#plugins/policy/bundle'
import { readTar } from '#plugins/policy/tar'
import { importedMemoryPages } from '#plugins/policy/wasm-imports'
import { buildBundle, needsOpa, optionsOf, writeTemporary } from './policies.ts'
import { bundleOf, tarOf, type TarMember } from './tar-writer.ts'

const shipped = readTar(gunzipSync(readFileSync(bundleFile)), {
  maxMembers: 100,
  maxNameBytes: 100,
})
const wasm = shipped.get('policy.wasm') ?? Buffer.alloc(0)
const load = (bytes: Buffer) => loadPolicyBundle(optionsOf({ bundleFile: writeTemporary(bytes) }))
const withWasm = (...others: TarMember[]) =>
  bundleOf([{ name: '/policy.wasm', content: wasm }, ...others])

/** The message names the file, what is wrong, and what to do. */
const refuses = (run: () => unknown, reason: RegExp) =>
  assert.throws(run, (error: Error) => {
    assert.match(error.message, /^policy (bundle|data) \S+(\.tar\.gz|\.json): /)
    assert.match(error.message, reason)
    assert.match(error.message, /Build it with `opa build|replaces the data/)
    return true
  })

suite('a policy bundle', () => {
  test('that is shipped is fit to decide, and says which it is', () =>
    assert.equal(loadPolicyBundle(optionsOf()).revision, readBundleSources().revision))

  test('without a revision is known by its digest', () =>
    assert.match(load(withWasm()).revision, /^[0-9a-f]{16}$/))

  const bomb = gzipSync(Buffer.alloc(70 * 1024 * 1024))
  for (const [fault, bytes, reason] of [
    ['that is not gzip', Buffer.from('not a bundle'), /not gzip/],
    ['that is empty', Buffer.alloc(0), /not gzip/],
    ['that is cut off', readFileSync(bundleFile).subarray(0, 20_000), /not gzip/],
    ['that expands without end', bomb, /expands to more/],
    ['that is too large', Buffer.alloc(17 * 1024 * 1024), /larger than/],
    ['whose archive is cut off', gzipSync(tarOf([{ name: 'a.rego' }]).subarray(0, 600)), /missing/],
    ['with a link', withWasm({ name: 'data.json', type: '2' }), /not a plain file/],
    ['with a name twice', withWasm({ name: 'policy.wasm' }), /twice/],
    ['with an unknown member', withWasm({ name: 'evil.sh' }), /"evil\.sh", which has no place/],
    ['with a patch', withWasm({ name: 'patch.json', content: '{}' }), /patch\.json/],
    ['with data that are not JSON', withWasm({ name: 'data.json', content: '{' }), /data\.json/],
    ['with data that are no object', withWasm({ name: 'data.json', content: '[]' }), /data\.json/],
    ['without a module', bundleOf([{ name: 'data.json', content: '{}' }]), /no policy\.wasm/],
    [
      'with a damaged module',
      bundleOf([{ name: 'policy.wasm', content: wasm.subarray(0, 999) }]),
      /damaged/,
    ],
    [
      'with a module of another kind',
      bundleOf([{ name: 'policy.wasm', content: '\0asm\x01\0\0\0' }]),
      /current OPA/,
    ],
  ] as const)
    test(`${fault} is refused`, () => refuses(() => load(bytes), reason))

  test('that is not there is refused', () =>
    refuses(() => loadPolicyBundle(optionsOf({ bundleFile: '/nowhere.tar.gz' })), /ENOENT/))

  test('without the entrypoint is refused, and says which it has', () =>
    refuses(
      () => loadPolicyBundle(optionsOf({ entrypoint: 'sallyport/allow' })),
      /only sallyport\/decision, sallyport\/exchange/,
    ))

  test('that needs more memory than it may have is refused', () =>
    refuses(
      () => loadPolicyBundle(optionsOf({ maxMemoryBytes: 65_536 })),
      /131072 bytes of memory/,
    ))

  test('that calls what only a host can provide is refused before any evaluation', needsOpa, () => {
    const bundleFile = buildBundle('package sallyport\n\ndecision := time.now_ns()')
    refuses(
      () => loadPolicyBundle(optionsOf({ bundleFile })),
      /only a host can provide: time\.now_ns/,
    )
  })

  for (const [what, rego, given] of [
    ['a bare true', 'decision := true', /gives \[\{"result":true\}\] for a plain request/],
    ['nothing', 'decision := true if input.nope', /gives undefined for a plain request/],
    ['a contradiction', 'decision := [1, 2][_]', /conflict/],
  ] as const)
    test(`that gives ${what} for a plain request is refused`, needsOpa, () => {
      const bundleFile = buildBundle(`package sallyport\n\n${rego}`)
      refuses(() => loadPolicyBundle(optionsOf({ bundleFile })), given)
    })

  test('with many constants gets the memory that it asks for', needsOpa, () => {
    const words = Array.from({ length: 500 }, (_, i) => `"${i}-${'x'.repeat(2000)}"`)
    const file =
      buildBundle(`package sallyport\n\ndecision := {"allow": false, "reasons": [reason]} if {
	reason := {"code": "count", "class": "policy", "message": format_int(count([${words.join(', ')}]), 10)}
}`)
    const evaluate = loadPolicyBundle(optionsOf({ bundleFile: file })).instantiate()
    assert.match(JSON.stringify(evaluate('{}')), /"message":"500"/)
  })
})

suite('policy data of a file of their own', () => {
  const dataFile = (content: string) => writeTemporary(content, 'data.json')

  test('replace those of the bundle and show in the revision', () => {
    const { revision } = loadPolicyBundle(optionsOf({ dataFile: dataFile('{"roles": {}}') }))
    assert.match(revision, new RegExp(`^${readBundleSources().revision}\\+data\\.[0-9a-f]{16}$`))
  })

  test('that are no JSON object are refused', () => {
    for (const content of ['', '[]', '"x"', '{"roles": {}'])
      refuses(
        () => loadPolicyBundle(optionsOf({ dataFile: dataFile(content) })),
        /not a JSON object/,
      )
  })
})

suite('the memory that a module imports', () => {
  test('is found behind imports of other kinds', () => {
    const text = (value: string) => [value.length, ...Buffer.from(value)]
    const imports = Buffer.concat([
      Buffer.from([...text('env'), ...text('f'), 0, 0x80, 1]), // a function of type 128
      Buffer.from([...text('env'), ...text('t'), 1, 0x70, 1, 0, 5]), // a table
      Buffer.from([...text('env'), ...text('g'), 3, 0x7f, 0]), // a global
      Buffer.from([...text('env'), ...text('memory'), 2, 1, 0xac, 2, 0xff, 3]), // 300 to 511 pages
    ])
    const section = [2, imports.length + 1, 4, ...imports]
    const module = Buffer.from([...Buffer.from('\0asm'), 1, 0, 0, 0, 0, 2, 1, 0x78, ...section])
    assert.equal(importedMemoryPages(module), 300)
  })

  test('is undefined where there is none', () =>
    assert.equal(importedMemoryPages(Buffer.from('\0asm\x01\0\0\0', 'latin1')), undefined))

  test('is not guessed in a module that is cut off', () => {
    assert.ok(wasm.length > 1000)
    assert.throws(() => importedMemoryPages(wasm.subarray(0, 20)), RangeError)
  })
})
