import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { policyDirectory } from '#config/policy/sources'
import { buildBundle, needsOpa, runOpa } from './policies.ts'

type Capabilities = { readonly builtins: readonly { readonly name: string }[] }

const file = join(policyDirectory, 'capabilities.json')
const ours = (JSON.parse(readFileSync(file, 'utf8')) as Capabilities).builtins.map(
  ({ name }) => name,
)

suite('the capabilities for policies', () => {
  test('hold what OPA compiles to Wasm, and nothing that only a host could provide', () => {
    assert.ok(ours.length > 90, `${ours.length} builtins`)
    const foreign =
      /^(time\.|http\.|io\.jwt\.|crypto\.|uuid\.|rand\.|opa\.|print$|trace$|sprintf$|net\.lookup)/
    assert.deepEqual(
      ours.filter((name) => foreign.test(name)),
      [],
    )
  })

  test('are a part of what the pinned OPA knows', needsOpa, () => {
    const current = JSON.parse(runOpa(['capabilities', '--current'])) as Capabilities
    const known = new Set(current.builtins.map(({ name }) => name))
    assert.deepEqual(
      ours.filter((name) => !known.has(name)),
      [],
    )
  })

  test('stop a policy at build that calls anything else', needsOpa, () => {
    for (const call of ['time.now_ns()', 'sprintf("%v", [1])', 'http.send({"url": "x"})'])
      assert.throws(() =>
        buildBundle(`package sallyport\n\ndecision := ${call}`, ['--capabilities', file]),
      )
  })
})
