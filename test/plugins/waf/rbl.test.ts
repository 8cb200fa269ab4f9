import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { blockLists, namedKind, rememberedLists } from '#plugins/waf/block-lists'
import { compileRules } from '#plugins/waf/engine/program'
import { loadRules } from '#plugins/waf/seclang/load'
import { runDns } from '#test/fakes/dns-server'
import { idsOf, runThrough } from './support.ts'

const dns = await runDns()
after(() => dns.close())

const programOf = (text: string) => {
  const loaded = loadRules([{ name: 'rbl.conf', text }], blockLists([dns.address]))
  return compileRules(loaded, loaded.entries)
}

suite('@rbl', () => {
  test('waits for what a list says of an address, and captures it', async () => {
    dns.set('9.2.0.192.list.example', [{ type: 'A', address: '127.0.0.2' }])
    const program = programOf(`
SecRule REMOTE_ADDR "@rbl list.example" "id:1,phase:1,deny,capture,msg:'%{tx.0}'"
SecRule REMOTE_ADDR "!@rbl list.example" "id:2,phase:2,pass"
SecAction "id:3,phase:2,pass,msg:'the rest is judged, too'"
`)
    const named = await runThrough(program, { remoteAddress: '192.0.2.9' })
    assert.equal(named.interruption?.ruleId, 1)
    assert.equal(
      named.matches[0]?.message,
      'RBL lookup of 9.2.0.192.list.example succeeded at TX:checkip.',
    )
    assert.deepEqual(idsOf(await runThrough(program, { remoteAddress: '192.0.2.1' })), [2, 3])
    const before = dns.asked.length
    await runThrough(program, { remoteAddress: '192.0.2.9' })
    assert.equal(dns.asked.length, before, 'an answer is remembered')
  })

  test('asks for IPv6 by half bytes, and for hosts as they are', async () => {
    const name = `${'1.0.0.0.'.repeat(1)}${'0.'.repeat(20)}8.b.d.0.1.0.0.2.list.example`
    dns.set(name, [{ type: 'A', address: '127.0.0.2' }])
    dns.set('bad.example.list.example', [{ type: 'A', address: '127.0.0.2' }])
    const program = programOf(
      'SecRule REMOTE_ADDR|REQUEST_HEADERS:Host "@rbl list.example" "id:1,phase:1,pass"',
    )
    const run = (remoteAddress: string, host: string) =>
      runThrough(program, { remoteAddress, headers: ['Host', host] })
    assert.deepEqual(idsOf(await run('2001:db8::1', 'good.example')), [1])
    assert.deepEqual(idsOf(await run('2001:db8::2', 'bad.example')), [1])
    assert.deepEqual(idsOf(await run('2001:db8::2', 'a b')), [])
  })

  test('a list that fails, or does not answer, names nobody', async () => {
    dns.set('7.2.0.192.list.example', 'SERVFAIL')
    dns.set('8.2.0.192.list.example', 'silence')
    const program = programOf('SecRule REMOTE_ADDR "@rbl list.example" "id:1,phase:1,pass"')
    for (const remoteAddress of ['192.0.2.7', '192.0.2.8'])
      assert.deepEqual(idsOf(await runThrough(program, { remoteAddress })), [])
  })

  test('asks Project Honey Pot with the key, which no message has', async () => {
    dns.set('abcdefghijkl.5.2.0.192.dnsbl.httpbl.org', [{ type: 'A', address: '127.3.40.5' }])
    const rule =
      'SecRule REMOTE_ADDR "@rbl dnsbl.httpbl.org" "id:1,phase:1,pass,capture,msg:\'%{tx.0}\'"\n'
    const { matches } = await runThrough(programOf(`${rule}SecHttpBlKey abcdefghijkl`), {
      remoteAddress: '192.0.2.5',
    })
    assert.equal(
      matches[0]?.message,
      'RBL lookup of 5.2.0.192.dnsbl.httpbl.org succeeded at TX:checkip. Suspicious comment spammer IP: 3 days since last activity, threat score 40',
    )
    assert.deepEqual(
      idsOf(await runThrough(programOf(rule), { remoteAddress: '192.0.2.5' })),
      [],
      'without a key nobody is asked',
    )
    assert.throws(() => programOf('SecHttpBlKey a.b'), /rbl\.conf:1: /)
    assert.throws(() => programOf('SecRule REMOTE_ADDR "@rbl" "id:1"'), /rbl\.conf:1: /)
  })

  test('many who ask the same ask once, and no more than a hundred ask at once', async () => {
    const answers: ((answer: { answer: string; forMs: number }) => void)[] = []
    const ask = rememberedLists(() => new Promise((resolve) => answers.push(resolve)))
    const asked = Array.from({ length: 150 }, (_, i) => ask(`n${i}`))
    assert.equal(answers.length, 100)
    const again = ask('n0')
    assert.equal(answers.length, 100)
    for (const answer of answers) answer({ answer: '127.0.0.2', forMs: 0 })
    const got = await Promise.all([...asked, again])
    assert.equal(got.filter((answer) => answer === '127.0.0.2').length, 101)
  })

  test('an answer that refuses the question names nobody', () => {
    assert.equal(namedKind('zen.spamhaus.org', '127.255.255.254'), undefined)
    assert.equal(namedKind('multi.uribl.com', '127.0.0.1'), undefined)
    assert.equal(namedKind('list.example', '192.0.2.1'), undefined)
    assert.equal(namedKind('zen.spamhaus.org', '127.0.0.4'), ' (Illegal 3rd party exploits)')
    assert.equal(namedKind('multi.uribl.com', '127.0.0.6'), ' (BLACK,GREY)')
  })
})
