// CRS 3.3 has rules that remember callers, look up where they are and ask lists about them. All are off until one says more.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { blockLists } from '#plugins/waf/block-lists'
import { compileRules, type Program } from '#plugins/waf/engine/program'
import { findCrs } from '#plugins/waf/find-crs'
import { recommendedFile } from '#plugins/waf/rule-set'
import { loadRules } from '#plugins/waf/seclang/load'
import { runDns } from '#test/fakes/dns-server'
import { idsOf, runThrough } from '#test/plugins/waf/support'
import { without } from '#test/tools'
import { debianCrs } from './crs-folder.ts'

const folder = debianCrs()
const needed = without({ 'the package modsecurity-crs': folder })
const database = join(import.meta.dirname, '../../fixtures/maxmind/GeoIP2-City-Test.mmdb')
const dns = await runDns()
after(() => dns.close())

const programWith = (...setvars: readonly string[]): Program => {
  const { setup, rules } = findCrs(folder ?? '')
  const own = `
SecRuleEngine On
SecGeoLookupDb ${database}
SecHttpBlKey abcdefghijkl
SecAction "id:900,phase:1,nolog,pass,t:none,${setvars.map((text) => `setvar:'tx.${text}'`).join()}"
`
  const loaded = loadRules(
    [recommendedFile, ...setup, { name: '(own)', text: own }, ...rules],
    blockLists([dns.address]),
  )
  return compileRules(loaded, loaded.entries)
}
const page = { headers: ['Host', 'shop.example', 'User-Agent', 'Mozilla/5.0', 'Accept', '*/*'] }

suite('CRS 3.3 about who calls', () => {
  test('bursts from one caller are blocked for a time, and nobody else', needed, async () => {
    const program = programWith(
      'dos_burst_time_slice=60',
      'dos_counter_threshold=5',
      'dos_block_timeout=600',
      'static_extensions=/.jpg/',
    )
    const ask = async (remoteAddress: string, nowMs: number) =>
      (await runThrough(program, { ...page, remoteAddress, nowMs })).interruption?.ruleId
    const asked: (number | undefined)[] = []
    for (let i = 0; i < 15; i += 1) asked.push(await ask('192.0.2.1', i * 100))
    assert.deepEqual(asked.slice(0, 5), Array<undefined>(5).fill(undefined))
    assert.ok(asked.includes(912120), JSON.stringify(asked))
    assert.ok((await ask('192.0.2.1', 2000)) !== undefined)
    assert.equal(await ask('192.0.2.2', 2000), undefined)
    assert.equal(await ask('192.0.2.1', 700_000), undefined)
  })

  test('a caller of a country that is not wanted is refused, and stays so', needed, async () => {
    const program = programWith(
      'high_risk_country_codes=GB',
      'do_reput_block=1',
      'reput_block_duration=300',
    )
    const ask = async (remoteAddress: string, nowMs = 0) =>
      idsOf(await runThrough(program, { ...page, remoteAddress, nowMs }))
    assert.ok((await ask('81.2.69.142')).includes(910100))
    assert.ok((await ask('81.2.69.142', 1000)).includes(910000), 'by the block of before')
    assert.deepEqual(await ask('192.0.2.1'), [])
  })

  test('a caller that Project Honey Pot knows is refused', needed, async () => {
    dns.set('abcdefghijkl.5.2.0.192.dnsbl.httpbl.org', [{ type: 'A', address: '127.3.40.4' }])
    const program = programWith(
      'block_spammer_ip=1',
      'block_search_ip=1',
      'block_suspicious_ip=1',
      'block_harvester_ip=1',
    )
    const ask = async (remoteAddress: string) =>
      idsOf(await runThrough(program, { ...page, remoteAddress }))
    assert.ok((await ask('192.0.2.5')).includes(910160), String(await ask('192.0.2.5')))
    assert.deepEqual(await ask('192.0.2.6'), [])
  })
})
