import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { opaVersion } from '#config/policy/opa'
import {
  bundleFile,
  policyDirectory,
  readBundleSources,
  revisionOf,
  sourcesIn,
} from '#config/policy/sources'

const remedy = 'run `node node.js config/policy/build.ts` and commit config/policy/bundle'

suite('the committed policy bundle', () => {
  const built = readBundleSources()

  test('was built from the sources as they are', () => {
    assert.ok(Object.keys(built.sources).length >= 5, 'no sources: this would have checked nothing')
    assert.deepEqual(sourcesIn(policyDirectory), built.sources, remedy)
  })

  test('was built with the OPA that is pinned, and carries the revision of its sources', () => {
    assert.equal(built.opa, opaVersion, remedy)
    assert.equal(built.revision, revisionOf(built.opa, built.sources), remedy)
    const archive = gunzipSync(readFileSync(bundleFile)).toString('latin1')
    assert.ok(archive.includes(`{"revision":"${built.revision}"`), remedy)
  })

  test('is found stale when a source changes, is added or is gone', () => {
    const copy = mkdtempSync(join(tmpdir(), 'sallyport-stale-'))
    const isStale = (change: (file: (name: string) => string) => void): boolean => {
      cpSync(policyDirectory, copy, { recursive: true })
      change((name) => join(copy, name))
      const found = JSON.stringify(sourcesIn(copy)) !== JSON.stringify(built.sources)
      rmSync(copy, { recursive: true })
      return found
    }
    const edit = (file: string) => writeFileSync(file, `${readFileSync(file, 'utf8')}\n`)
    assert.equal(
      isStale(() => {}),
      false,
    )
    assert.equal(
      isStale((file) => edit(file('data.json'))),
      true,
    )
    assert.equal(
      isStale((file) => edit(file('decision.rego'))),
      true,
    )
    assert.equal(
      isStale((file) => edit(file('capabilities.json'))),
      true,
    )
    assert.equal(
      isStale((file) => writeFileSync(file('new.rego'), 'package new')),
      true,
    )
    assert.equal(
      isStale((file) => rmSync(file('clock.rego'))),
      true,
    )
    assert.equal(
      isStale((file) => edit(file('clock_test.rego'))),
      false,
    )
  })
})
