import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, suite, test } from 'node:test'
import { inspect } from 'node:util'
import { ids, meshRig, openRoute } from './rig.ts'

const rig = await meshRig()
after(rig.close)

let reached = 0
const service = await rig.service((req, res) => {
  reached++
  req.resume()
  res.writeHead(200, { 'content-type': 'text/plain' })
  res.end(req.url?.startsWith('/leak') ? 'ORA-00942: secret of the house' : 'ok')
})
/** A pattern that who asks may choose: what cannot be compiled is a fault of the engine. */
const ownRules = rig.at('own.conf')
writeFileSync(
  ownRules,
  `SecRule ARGS:value "@rx %{ARGS.pattern}" "id:1,phase:2,pass,nolog"
SecRule RESPONSE_BODY "@contains secret of the house" "id:2,phase:4,deny,status:403,msg:'A leak'"
`,
)
const given = (some: object = {}) => ({
  upstreams: { service: { endpoints: [service.url], spiffeId: ids.service } },
  waf: { mode: 'enforce', ruleFiles: [ownRules], ...some },
  routes: [
    openRoute('enforced', '/'),
    openRoute('detected', '/detect', { waf: { mode: 'detect' } }),
    openRoute('not-inspected', '/off', { waf: { mode: 'off' } }),
    openRoute('excluded', '/wiki', {
      waf: {
        exclusions: [{ tag: 'attack-xss', target: 'ARGS:text', reason: 'pages have markup' }],
      },
    }),
    openRoute('leaks', '/leak', { waf: { responses: true } }),
  ],
})
const gateway = await rig.gateway('firewall', given())
const markup = 'text=%3Cscript%3Ealert(1)%3C/script%3E'
const asForm = { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' } }
/** The answer, whether the service was asked, and the record. */
const ask = async (path: string, options: object = {}) => {
  const before = reached
  const answer = await gateway.ask(path, options)
  const id = answer.headers['x-sallyport-decision-id']
  const record = await gateway.record(({ decisionId }) => decisionId === id)
  return { ...answer, reached: reached > before, record }
}

suite('The firewall, in the way', () => {
  test('refuses before the service is asked, and the record names rules, place, part and score', async () => {
    for (const [path, options] of [
      [`/?${markup}`, {}],
      ['/form', { ...asForm, body: markup }],
      [
        '/any',
        {
          method: 'POST',
          headers: { 'content-type': 'text/plain' },
          body: '<script>alert(1)</script>',
        },
      ],
    ] as const) {
      const { status, text, reached: asked, record } = await ask(path, options)
      assert.deepEqual([status, asked], [403, false], path)
      assert.doesNotMatch(text, /rule|script/)
      const [rule] = record.waf?.rules ?? []
      assert.equal(rule?.id, 8140003)
      assert.match(rule?.variable ?? '', /^ARGS:(?:text|body)$/)
      assert.match(rule?.exclusion ?? '', /^\{ rule: "8140003", target: "ARGS:/)
      assert.ok((record.waf?.inboundScore ?? 0) >= 5)
    }
  })

  test('only records where a route says so, looks away where it says that, and leaves out what is excluded', async () => {
    const detected = await ask(`/detect?${markup}`)
    assert.deepEqual([detected.status, detected.record.waf?.mode], [200, 'detect'])
    assert.ok(detected.record.waf?.rules.some(({ id }) => id === 8140003))
    const off = await ask(`/off?${markup}`)
    assert.deepEqual([off.status, off.record.waf], [200, undefined])
    assert.equal((await ask(`/wiki?${markup}`)).status, 200)
    assert.equal((await ask(`/wiki?${markup.replace('text', 'title')}`)).status, 403)
  })

  test('withholds an answer that leaks, where answers are looked at', async () => {
    const leak = await ask('/leak')
    assert.equal(leak.reached, true)
    assert.equal(leak.status >= 400, true)
    assert.doesNotMatch(leak.text, /secret/)
    assert.equal(leak.record.waf?.decidedBy, 2)
  })

  test('fails closed when its engine breaks: that request alone, counted, and the process lives', async () => {
    const broken = await ask('/?value=a&pattern=(')
    assert.deepEqual([broken.status, broken.reached], [500, false])
    assert.equal(broken.record.problem, 'internal')
    assert.match(await gateway.metrics(), /sallyport_\w+_total\{[^}]*problem="internal"[^}]*\} 1/)
    assert.ok(gateway.logged.some((line) => inspect(line, { depth: 6 }).includes('@rx cannot use')))
    assert.equal((await ask('/?value=a&pattern=b')).status, 200)
  })

  test('refuses a body that is not what it says it is, and says why in the record', async () => {
    const options = { method: 'POST', headers: { 'content-type': 'application/json' } }
    const { status, reached: asked, record } = await ask('/json', { ...options, body: '{"a":' })
    assert.deepEqual([status, asked, record.problem], [400, false, 'request-malformed'])
    assert.match(JSON.stringify(record), /JSON parsing error: malformed at byte/)
  })

  test('keeps its rules when new ones have a fault, which names file and line', async () => {
    const faulty = rig.at('faulty.conf')
    writeFileSync(faulty, '\n\nSecRule ARGS "@nonsense" "id:3"\n')
    await assert.rejects(
      gateway.change(given({ ruleFiles: [faulty] })),
      /faulty\.conf:3: .*nonsense/,
    )
    assert.equal((await ask(`/?${markup}`)).status, 403)
  })
})
