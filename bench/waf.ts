/**
 * How much processor time does a request cost in the WAF, with OWASP CRS at paranoia level 1? Twice over:
 * in process, our engine and libmodsecurity 3 (its Python bindings, the same rules) taking turns, least of the rounds, as
 * what else the machine does only adds; and behind a socket, beside nginx with ModSecurity and Coraza, each less the same
 * server without WAF, medians. Also: time to load, memory. Ends with one line of JSON with the ratios.
 *
 * Run: node node.js bench/waf.ts [--rounds 5] [--ms 300] [--seconds 2] (of each round behind a socket; 0: none)
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
import { wafCases } from './rig/waf-cases.ts'
import { measureWafServers, wafServerTable } from './rig/waf-servers.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    ms: { type: 'string', default: '300' },
    seconds: { type: 'string', default: '2' },
  },
})
const rounds = Number(values.rounds)
const roundMs = Number(values.ms)

const folder = crsFolder()
if (folder === undefined) {
  console.error(`not on this machine: ${noCrs}`)
  process.exit(1)
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
  if (body !== undefined) await wait(transaction.readBody(Buffer.from(body, 'latin1'), true))
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
for (const [name, requests] of Object.entries(wafCases)) {
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
oracle?.close()

const seconds = Number(values.seconds)
const servers = seconds > 0 ? await measureWafServers({ folder, rounds, seconds }) : undefined
if (servers) {
  console.log('Behind a socket, µs of CPU a request, less the same server without WAF:')
  console.table(wafServerTable(servers))
}
console.log(
  JSON.stringify({
    bench: 'waf',
    servers: servers ?? null,
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
