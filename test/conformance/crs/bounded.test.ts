import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { findCrs } from '#plugins/waf/find-crs'
import { compileRules, type Program } from '#plugins/waf/engine/program'
import { beginTransaction } from '#plugins/waf/engine/transaction'
import { loadRules } from '#plugins/waf/seclang/load'
import { crsFolder, needsCrs } from './crs-folder.ts'

const folder = crsFolder()
/** What the gateway promises, in milliseconds of the thread's own time. */
const boundMs = 20

const cpuMs = (): number => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
/** The least of some runs: what is over the bound each time is not chance. */
const leastOf = (runs: number, measure: () => number): number => {
  let least = Infinity
  for (let i = 0; i < runs && least > boundMs / 4; i++) least = Math.min(least, measure())
  return least
}

const fragments = [
  'a',
  'A',
  '0',
  ' ',
  '\t',
  '\r\n',
  '.',
  '/',
  '../',
  '\\',
  '"',
  "'",
  '(',
  ')',
  'a(',
  '()',
  '${',
  '$(',
  '`',
  '%',
  '%00',
  '<',
  '<a ',
  '<!',
  '=',
  'a=',
  'a,',
  '; ',
  '|',
  '&',
  '--',
  '#',
  '_',
  'a.',
  'x:',
  'select ',
  'or 1',
  '\0',
  '\xe2',
  '{{',
  '[',
  'ab ',
  "a'b ",
  'on x=',
  'http://a',
  '/*',
  '*/',
  '@',
  '^',
  '~',
  'cat ',
  '() {',
  '\\x',
  '\\u00',
  "'a' ",
  '1=',
  "' or 1=1 union select sleep(1) from users-- ",
  '<script>alert(1)</script>',
  '${jndi:ldap://a}',
  '&#x41;',
  '%u0041',
]
const filled = (fragment: string, bytes: number) =>
  fragment.repeat(Math.ceil(bytes / fragment.length)).slice(0, bytes)

const load = () => {
  const { setup, rules } = findCrs(folder ?? '')
  return loadRules([
    `${folder}/rules/@coraza.conf-recommended`,
    ...setup,
    {
      name: '(settings)',
      text: 'SecAction "id:1,phase:1,pass,nolog,setvar:tx.blocking_paranoia_level=4"',
    },
    ...rules,
  ])
}

suite('No input holds the event loop', needsCrs(), () => {
  const loaded = folder === undefined ? undefined : load()

  test('in any pattern of CRS, on 32 KiB of what makes it work hardest', () => {
    const tests = new Map(
      (loaded?.entries ?? [])
        .flatMap((entry) => (entry.kind === 'rule' ? entry.rule.links : []))
        .flatMap(({ operator, test }) =>
          operator?.name === 'rx' && test ? [[operator.source, test] as const] : [],
        ),
    )
    assert.ok(tests.size > 250, `only ${tests.size} patterns`)
    for (const [source, { test: matches, capture }] of tests)
      for (const fragment of fragments) {
        const subject = filled(fragment, 32_768)
        const ms = leastOf(4, () => {
          const start = performance.now()
          if (matches(subject)) capture?.(subject)
          return performance.now() - start
        })
        assert.ok(
          ms < boundMs,
          `${ms} ms for ${source.slice(0, 80)} on ${JSON.stringify(fragment)}`,
        )
      }
  })

  test('in a whole request: one long value, a thousand arguments, long headers', async () => {
    const program = compileRules(loaded ?? load(), loaded?.entries ?? [])
    for (const fragment of fragments.slice(-12))
      for (const [name, body] of Object.entries(bodiesOf(fragment))) {
        let least = Infinity
        for (let i = 0; i < 4 && least > boundMs / 2; i++)
          least = Math.min(least, await longestTurnMs(program, body, filled(fragment, 8192)))
        assert.ok(least < boundMs, `${least} ms for ${name} of ${JSON.stringify(fragment)}`)
      }
  })
})

const bodiesOf = (fragment: string): Record<string, string> => {
  const encode = (text: string) => encodeURIComponent(text.replace(/[^\0-\x7f]/g, '~'))
  return {
    'one value': `a=${encode(filled(fragment, 40_000))}`.slice(0, 131_072),
    'a thousand arguments': Array.from(
      { length: 1000 },
      (_, i) => `a${i}=${encode(filled(fragment, 60))}`,
    )
      .join('&')
      .slice(0, 131_072),
  }
}

/** The longest time that the thread was busy with a request without a pause. */
const longestTurnMs = async (program: Program, body: string, header: string): Promise<number> => {
  let longest = 0
  let turnStart = cpuMs()
  let watching = true
  const watch = () => {
    longest = Math.max(longest, cpuMs() - turnStart)
    turnStart = cpuMs()
    if (watching) setImmediate(watch)
  }
  setImmediate(watch)
  const transaction = beginTransaction(program, {
    method: 'POST',
    target: '/x',
    protocol: 'HTTP/1.1',
    headers: [
      'Host',
      'a',
      'Referer',
      header,
      'Cookie',
      header,
      'Content-Type',
      'application/x-www-form-urlencoded',
      'Content-Length',
      String(body.length),
    ],
    remoteAddress: '192.0.2.1',
    uniqueId: 'x',
    nowMs: 0,
  })
  const step = async (run: () => unknown) => {
    await new Promise((resolve) => setImmediate(resolve))
    turnStart = cpuMs()
    const running = run()
    longest = Math.max(longest, cpuMs() - turnStart)
    await running
  }
  await step(() => transaction.requestHead())
  await step(() => transaction.readBody(Buffer.from(body, 'latin1'), true))
  await step(() => transaction.requestBody())
  await step(() => transaction.responseHead(200, ['Content-Type', 'text/html']))
  await step(() => transaction.responseBody(Buffer.from(body, 'latin1'), true))
  await step(() => transaction.end())
  watching = false
  return longest
}
