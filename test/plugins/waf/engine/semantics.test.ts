import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { idsOf, programOf, runThrough } from '../support.ts'

const form = ['Host', 'a', 'Content-Type', 'application/x-www-form-urlencoded'] as const
const on = 'SecRequestBodyAccess On\nSecResponseBodyAccess On\n'
const run = (rules: string, sent: Parameters<typeof runThrough>[1] = {}) =>
  runThrough(programOf(on + rules), sent)

suite('Rules run as in ModSecurity v2', () => {
  test('what a match does happens once for every value that matches', async () => {
    const { tx } = await run('SecRule ARGS "@rx ^x" "id:1,phase:1,nolog,pass,setvar:tx.n=+2"', {
      target: '/?a=x1&b=y&c=x2&a=x3',
    })
    assert.equal(tx.get('n'), '6')
  })
  test('a missing variable has no value, so that not even a negated operator matches; its count is 0', async () => {
    const state = await run(
      'SecRule ARGS:none "!@rx a" "id:1,phase:1,pass"\nSecRule &ARGS:none "@eq 0" "id:2,phase:1,pass"',
    )
    assert.deepEqual(idsOf(state), [2])
  })
  test('a link sees the last match of the link before; what that did stays, even if the chain fails', async () => {
    const state = await run(
      `SecRule ARGS "@rx (\\d)(\\d)" "id:1,phase:1,pass,capture,msg:'%{MATCHED_VAR_NAME} %{tx.1}',setvar:tx.head=+1,chain"
  SecRule TX:2 "@gt %{tx.1}" "setvar:tx.link=+1"
SecRule ARGS "@streq no" "id:2,phase:1,pass,setvar:tx.x=1,chain"
  SecRule ARGS "@streq no" "t:none"`,
      { target: '/?a=51&b=12' },
    )
    assert.deepEqual(idsOf(state), [1])
    assert.equal(state.matches[0]?.message, 'TX:2 1')
    assert.deepEqual(
      [state.tx.get('head'), state.tx.get('link'), state.tx.get('x')],
      ['2', '1', undefined],
    )
  })
  test('multiMatch tries every form that a transformation made', async () => {
    const state = await run(
      `SecRule ARGS "@rx B%20" "id:1,phase:1,pass,t:none,t:urlDecodeUni,t:lowercase,multiMatch"
SecRule ARGS "@rx B%20" "id:2,phase:1,pass,t:none,t:urlDecodeUni,t:lowercase"
SecRule ARGS "@rx B C" "id:3,phase:1,pass,t:none,t:urlDecodeUni,t:lowercase,multiMatch"`,
      { target: '/?a=B%2520C' },
    )
    assert.deepEqual(idsOf(state), [1, 3])
  })
  test('skipAfter and skip pass rules over, those of the phase only', async () => {
    const state = await run(
      `SecRule ARGS:a "1" "id:1,phase:1,pass,nolog,skipAfter:END"
SecAction "id:2,phase:1,pass"
SecAction "id:3,phase:2,pass"
SecMarker "END"
SecRule ARGS:a "1" "id:4,phase:1,pass,nolog,skip:1"
SecAction "id:5,phase:1,pass"
SecAction "id:6,phase:1,pass"`,
      { target: '/?a=1' },
    )
    assert.deepEqual(idsOf(state), [6, 3])
  })
  test('what is the same for every request is worked out at load, and is as it would be', async () => {
    const rules = `SecAction "id:1,phase:1,pass,nolog,setvar:tx.level=2,setvar:tx.methods=GET PUT"
SecRule &TX:level "@eq 0" "id:2,phase:1,pass,nolog,setvar:tx.level=1"
SecRule TX:level "@lt 3" "id:3,phase:1,pass,nolog,skipAfter:HIGH"
SecRule ARGS "a" "id:4,phase:1,pass"
SecMarker HIGH
SecRule REQUEST_METHOD "!@within %{tx.methods}" "id:5,phase:1,pass"
SecRule ARGS:raise "1" "id:6,phase:1,pass,nolog,setvar:tx.level=9"
SecRule TX:level "@ge 9" "id:7,phase:2,pass"`
    const program = programOf(rules)
    assert.deepEqual(
      program.phases.get(1)?.units.map(({ rule }) => rule.id),
      [5, 6],
    )
    assert.deepEqual(idsOf(await runThrough(program, { method: 'GET', target: '/?a=a' })), [])
    assert.deepEqual(
      idsOf(await runThrough(program, { method: 'POST', target: '/?raise=1' })),
      [5, 7],
    )
  })
  test('a rule that may be passed over leaves what it sets unknown', async () => {
    const rules = `SecRule ARGS:skip "1" "id:1,phase:1,pass,nolog,skipAfter:END"
SecAction "id:2,phase:1,pass,nolog,setvar:tx.seen=1"
SecMarker END
SecRule &TX:seen "@eq 0" "id:3,phase:1,pass"`
    assert.deepEqual(idsOf(await run(rules, { target: '/?skip=1' })), [3])
    assert.deepEqual(idsOf(await run(rules)), [])
  })
  test('ctl takes out rules by id, range and tag, and targets by key, pattern or whole', async () => {
    const state = await run(
      `SecAction "id:1,phase:1,pass,nolog,ctl:ruleRemoveById=10-19,ctl:ruleRemoveByTag=sqli,\
ctl:ruleRemoveTargetById=20;ARGS:b,ctl:ruleRemoveTargetByTag=x;ARGS:/^c\\d$/,ctl:ruleRemoveTargetById=22;ARGS"
SecRule ARGS "." "id:15,phase:2,pass"
SecRule ARGS "." "id:16,phase:2,pass,tag:'attack-sqli'"
SecRule ARGS "." "id:20,phase:2,pass,msg:'%{MATCHED_VAR_NAME}'"
SecRule ARGS "." "id:21,phase:2,pass,tag:'x',msg:'%{MATCHED_VAR_NAME}'"
SecRule ARGS "." "id:22,phase:2,pass"`,
      { target: '/?a=1&b=2&c3=3' },
    )
    assert.deepEqual(
      state.matches.map(({ ruleId, message }) => `${ruleId} ${message}`),
      ['20 ARGS:a', '20 ARGS:c3', '21 ARGS:a', '21 ARGS:b'],
    )
  })
  test('deny stops the later phases but the last; DetectionOnly stops nothing', async () => {
    const rules = `SecAction "id:1,phase:1,deny,status:418,log"
SecAction "id:2,phase:2,pass"
SecAction "id:3,phase:5,pass"`
    const stopped = await run(rules)
    assert.deepEqual(idsOf(stopped), [1, 3])
    assert.deepEqual([stopped.interruption?.ruleId, stopped.interruption?.status], [1, 418])
    const watched = await run(`SecRuleEngine DetectionOnly\n${rules}`)
    assert.deepEqual(idsOf(watched), [1, 2, 3])
    assert.equal(watched.interruption, undefined)
    assert.equal(watched.detection?.ruleId, 1)
  })
  test('allow ends its phase, the request phases, or all', async () => {
    const rules = (scope: string) => `SecAction "id:1,phase:1,nolog,allow${scope}"
SecAction "id:2,phase:1,pass"
SecAction "id:3,phase:2,pass"
SecAction "id:4,phase:3,pass"`
    assert.deepEqual(idsOf(await run(rules(':phase'))), [3, 4])
    assert.deepEqual(idsOf(await run(rules(':request'))), [4])
    assert.deepEqual(idsOf(await run(rules(''))), [])
  })
  test('names of TX, headers and arguments ignore case', async () => {
    const state = await run(
      `SecAction "id:1,phase:1,pass,nolog,setvar:'tx.MixedCase=7'"
SecRule TX:/^MIXED/ "@eq 7" "id:2,phase:1,pass"
SecRule REQUEST_HEADERS:user-AGENT "x" "id:3,phase:1,pass"
SecRule ARGS:foo "x" "id:4,phase:1,pass"`,
      { target: '/?FOO=x', headers: ['User-Agent', 'x'] },
    )
    assert.deepEqual(idsOf(state), [2, 3, 4])
  })
  test('the query is cut before it is decoded, the path is decoded once, the fragment is only in the raw URI', async () => {
    const { request } = await run('', { target: 'http://h/a%3Fb/c%252e+d?x=%26y&z=1+2#frag' })
    assert.equal(request.filename, '/a?b/c%2e+d')
    assert.equal(request.basename, 'c%2e+d')
    assert.deepEqual(request.argsGet.values, ['&y', '1 2'])
    assert.equal(request.queryString, 'x=%26y&z=1+2')
    assert.ok(!request.uri.includes('frag') && request.line.includes('#frag'))
  })
  test('REQUEST_BODY is there for forms, and without a processor when rules force it', async () => {
    const rules = 'SecRule REQUEST_BODY "@contains a=1" "id:1,phase:2,pass"'
    const text = ['Host', 'a', 'Content-Type', 'text/plain']
    assert.deepEqual(idsOf(await run(rules, { method: 'POST', headers: form, body: 'a=1' })), [1])
    assert.deepEqual(idsOf(await run(rules, { method: 'POST', headers: text, body: 'a=1' })), [])
    const forced = `SecAction "id:9,phase:1,nolog,pass,ctl:forceRequestBodyVariable=On"\n${rules}`
    assert.deepEqual(idsOf(await run(forced, { method: 'POST', headers: text, body: 'a=1' })), [1])
  })
  test('JSON is read when a rule says so, with names that say where', async () => {
    const state = await run(
      `SecRule REQUEST_HEADERS:Content-Type "json" "id:1,phase:1,nolog,pass,ctl:requestBodyProcessor=JSON"
SecRule ARGS:json.a.array_0.b "@streq x" "id:2,phase:2,pass"
SecRule ARGS_POST:/^json\\.a\\.array_\\d+\\.b$/ "@streq x" "id:3,phase:2,pass"`,
      { method: 'POST', headers: ['Content-Type', 'application/json'], body: '{"a":[{"b":"x"}]}' },
    )
    assert.deepEqual(idsOf(state), [2, 3])
  })
  test('phase 4 runs without a body, and sees one of a type that is listed', async () => {
    const rules = `SecAction "id:1,phase:4,pass"
SecRule RESPONSE_BODY "@contains secret" "id:2,phase:4,deny"`
    const seen = await run(rules, { responseBody: 'a secret' })
    assert.deepEqual(idsOf(seen), [1, 2])
    assert.equal(seen.interruption?.phase, 4)
    assert.deepEqual(
      idsOf(
        await run(rules, {
          responseHeaders: ['Content-Type', 'image/png'],
          responseBody: 'secret',
        }),
      ),
      [1],
    )
  })
  test('counters never go below zero and read leading digits', async () => {
    const { tx } = await run(
      'SecAction "id:1,phase:1,pass,nolog,setvar:tx.a=5x,setvar:tx.a=+2,setvar:tx.b=-3,setvar:!tx.c"',
    )
    assert.deepEqual([tx.get('a'), tx.get('b'), tx.get('c')], ['7', '0', undefined])
  })
  test('a rule sees the same of long values, which it tries in pieces, as of short ones', async () => {
    const rules = `SecRule ARGS|REQUEST_BODY "@rx (?:a|b).{9}(c)" "id:1,phase:2,pass,capture,t:none,t:urlDecodeUni,multiMatch,logdata:'%{tx.1}',setvar:tx.n=+1,chain"
  SecRule MATCHED_VARS "!@rx (?:a|b).{12}d" "setvar:tx.m=+1"
SecRule ARGS:b "!@rx ^[ab]+$" "id:2,phase:2,pass"`
    const run2 = async (filler: string) => {
      const body = `a=${filler}a123456789c&b=${filler}&c=%61${filler}a123456789c`
      const state = await run(rules, { method: 'POST', headers: form, body })
      const { tx } = state
      const [first] = state.matches
      return [idsOf(state), tx.get('n'), tx.get('m'), first?.logData, first?.matched[0]?.name]
    }
    const bits = Array.from({ length: 20_000 }, (_, i) => 'ab'[(i * i * 7 + (i >> 3)) & 1]).join('')
    assert.deepEqual(await run2(bits), await run2('ab'))
    assert.deepEqual((await run2('ab'))[0], [1])
  })
  test('an argument that only its macros make unreadable is a fault at load if rules alone set them', () => {
    const rules = `SecAction "id:1,phase:1,pass,nolog,setvar:tx.p=("
SecRule ARGS "@rx %{tx.p}" "id:2,phase:1,pass"`
    assert.throws(() => programOf(rules), /rules-0\.conf:2: @rx cannot use the pattern/)
  })
  test('matches that are kept are bounded, and the rest is counted', async () => {
    const target = `/?${Array.from({ length: 600 }, (_, i) => `a${i}=x`).join('&')}`
    const state = await run('SecRule ARGS "x" "id:1,phase:1,pass"', { target })
    assert.equal(state.matches.length + state.droppedMatches, 600)
    assert.ok(state.matches.length <= 200)
  })
})
