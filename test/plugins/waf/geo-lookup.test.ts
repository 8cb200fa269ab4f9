import assert from 'node:assert/strict'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { idsOf, programOf, runThrough } from './support.ts'

const file = join(import.meta.dirname, '../../fixtures/maxmind/GeoIP2-City-Test.mmdb')
const rules = `
SecRule REMOTE_ADDR "@geoLookup" "id:1,phase:1,pass,msg:'%{geo.country_code} %{geo.country_continent} %{geo.region} %{geo.city}'"
SecRule GEO:COUNTRY_CODE "@streq GB" "id:2,phase:1,pass"
SecRule REMOTE_ADDR "!@geoLookup" "id:3,phase:1,pass"
`

suite('@geoLookup', () => {
  // Named after the rules: a setup file may come before them, one's own files after.
  const program = programOf(rules, `SecGeoLookupDb ${file}`)
  test('says where an address is that the database knows', async () => {
    const state = await runThrough(program, { remoteAddress: '81.2.69.142' })
    assert.deepEqual(idsOf(state), [1, 2])
    assert.equal(state.matches[0]?.message, 'GB EU ENG London')
    assert.deepEqual(idsOf(await runThrough(program, { remoteAddress: '2001:218::1' })), [1])
  })
  test('does not match others, nor what is no address', async () => {
    for (const remoteAddress of ['192.0.2.1', '::', 'nonsense', ''])
      assert.deepEqual(idsOf(await runThrough(program, { remoteAddress })), [3])
  })
  test('matches nothing where no database is named', async () => {
    assert.deepEqual(
      idsOf(await runThrough(programOf(rules), { remoteAddress: '81.2.69.142' })),
      [3],
    )
  })
  test('names a file that is none', () => {
    assert.throws(() => programOf('SecGeoLookupDb /nowhere.mmdb'), /rules-0\.conf:1: .*nowhere/)
    assert.throws(
      () => programOf(`SecGeoLookupDb ${import.meta.filename}`),
      /rules-0\.conf:1: .*MaxMind/,
    )
  })
})
