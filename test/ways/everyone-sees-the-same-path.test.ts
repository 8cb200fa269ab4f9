import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { dial, type Wire } from '#test/http/wire'
import { eventually, ids, meshRig, openRoute } from './rig.ts'

const rig = await meshRig()
after(rig.close)
/** By decision: the target that reached the service. */
const reached = new Map<string, string>()
const service = await rig.service((req, res) => {
  reached.set(String(req.headers['x-request-id']), req.url ?? '')
  res.end('yes')
})
const showsPath = rig.save(
  'path.conf',
  `SecRule REQUEST_URI_RAW "@rx ^.*$" "id:1,phase:1,pass,log,msg:'the target'"\n`,
)

/** What two programs read differently, put together in every way. */
const parts = [
  '/',
  '/',
  '.',
  '..',
  '%2e',
  '%2E%2e',
  '%2f',
  '%5c',
  '\\',
  ';',
  ';a=b',
  '%00',
  '%25',
  '%',
  '%zz',
  'a',
  'A',
  '%61',
  '%41',
  '%c3%a9',
  '%c0%ae',
  '%ff',
  '%20',
  '+',
  '~',
  '%7e',
  '//',
  '?',
  '&',
  '?a=/../b',
  '#',
]
const anyTarget = fc
  .array(fc.constantFrom(...parts), { minLength: 1, maxLength: 8 })
  .map((some) => `/${some.join('')}`)
const runs = 100

for (const paths of ['reject', 'istio-decode-and-merge'] as const)
  test(`the service gets the path that was routed, inspected and recorded, or nothing (${paths})`, async () => {
    const gateway = await rig.gateway(paths, {
      upstreams: {
        service: { endpoints: [service.url], spiffeId: ids.service, connectTimeoutMs: 20_000 },
      },
      routes: [openRoute('all', '/')],
      listeners: { ingress: { paths } },
      waf: { mode: 'detect', ruleFiles: [showsPath] },
    })
    let wire: Wire | undefined
    const ask = async (target: string) => {
      wire ??= await dial(gateway.port, { ca: gateway.ca })
      wire.write(`GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
      const { status, head } = await wire.answer()
      if (/\r\nconnection: close/i.test(head)) {
        wire.destroy()
        wire = undefined
      }
      return { target, status, decision: /x-sallyport-decision-id: (\w+)/i.exec(head)?.[1] }
    }
    const asked: Awaited<ReturnType<typeof ask>>[] = []
    for (const target of fc.sample(anyTarget, runs)) asked.push(await ask(target))
    wire?.destroy()

    const records = await eventually(() => {
      const all = new Map(gateway.records().map((record) => [record.decisionId, record]))
      return asked.every(({ decision }) => !decision || all.has(decision)) ? all : undefined
    })
    let through = 0
    for (const { target, status, decision } of asked) {
      const url = decision === undefined ? undefined : reached.get(decision)
      if (status !== 200) {
        assert.deepEqual([status, url], [400, undefined], target)
        continue
      }
      through += 1
      const { request, waf, route } = records.get(decision ?? '') ?? {}
      const path = String(url).split('?')[0] ?? ''
      assert.equal(request?.path, path, target)
      assert.equal(route?.id, 'all')
      const shown = waf?.rules.find(({ id }) => id === 1)?.matched
      assert.equal(shown, url, target)
    }
    assert.ok(through > 2 && through < runs, `${through} of ${runs} went through`)
    console.log(`  ${through} of ${runs} went through`)
  })
