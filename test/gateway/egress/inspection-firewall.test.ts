// The firewall within inspected TLS, where the rule of a workload says so: requests, and answers before any of them goes out.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { runDestination, runInspectionRig } from './inspection-rig.ts'
import { certificates, refusalOf, shop } from './rig.ts'

const certs = certificates()
const other = 'spiffe://mesh.example/ns/shop/sa/other'
let reached = 0
const api = await runDestination(certs.outside('DNS:api.test'), (req, res) => {
  reached += 1
  res.setHeader('content-type', 'text/plain')
  res.end(req.url === '/leak' ? 'the key is LEAKED-123' : 'nothing to see')
})
const folder = mkdtempSync(join(tmpdir(), 'sallyport-egress-'))
after(() => rmSync(folder, { recursive: true }))
const ruleFile = join(folder, 'own.conf')
writeFileSync(
  ruleFile,
  `SecRule ARGS "@contains customer-list" "id:100001,phase:2,deny,status:403,t:none"
SecRule RESPONSE_BODY "@contains LEAKED-123" "id:100002,phase:4,deny,status:403,t:none"
`,
)
const destinations = [
  {
    hosts: ['api.test'],
    ports: [api.port],
    protocol: 'tls-inspected' as const,
    opens: ['127.0.0.0/8'],
  },
]
const rig = await runInspectionRig(certs, ['api.test'], {
  waf: { ruleFiles: [ruleFile] },
  rules: [
    { id: 'watched', destinations, waf: { mode: 'enforce', responses: true } },
    { id: 'unwatched', workloads: [other], destinations },
  ],
})
rig.dns.set('api.test', [{ type: 'A', address: '127.0.0.1' }])
const place = `api.test:${api.port}`
const send = async (as: string, path: string, body = '') => {
  const wire = await rig.inside(place, as)
  wire.write(
    `POST ${path} HTTP/1.1\r\nHost: ${place}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  const answer = await wire.answer()
  wire.destroy()
  return { answer, decisionId: wire.decisionId }
}

test('a request that its rules refuse does not get out, and the record says which', async () => {
  const before = reached
  const { answer, decisionId } = await send(shop, '/up', 'what=the+customer-list')
  assert.equal(refusalOf(answer), '403 attack-suspected')
  assert.equal(reached, before)
  const { waf } = await rig.requestRecord(decisionId, '/up')
  assert.equal(waf?.decidedBy, 100_001)
})
test('an answer that its rules refuse does not get in', async () => {
  const { answer, decisionId } = await send(shop, '/leak')
  assert.equal(refusalOf(answer), '403 attack-suspected')
  assert.doesNotMatch(answer.body, /LEAKED/)
  const { waf } = await rig.requestRecord(decisionId, '/leak')
  assert.equal(waf?.decidedBy, 100_002)
})
test('what no rule minds gets through, both ways', async () => {
  const { answer } = await send(shop, '/up', 'what=hello')
  assert.deepEqual([answer.status, answer.body], [200, 'nothing to see'])
})
test('where the rule of a workload has no firewall, nobody looks', async () => {
  const { answer } = await send(other, '/leak', 'what=the+customer-list')
  assert.deepEqual([answer.status, answer.body], [200, 'the key is LEAKED-123'])
})
test('nothing of this was a bug of ours', () => assert.deepEqual(rig.bugs, []))
