import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileRules } from '#plugins/waf/engine/program'
import { findCrs } from '#plugins/waf/find-crs'
import { recommendedFile } from '#plugins/waf/rule-set'
import { loadRules } from '#plugins/waf/seclang/load'
import { idsOf, runThrough } from '#test/plugins/waf/support'
import { without } from '#test/tools'
import { crsFolder, needsCrs } from '../crs/crs-folder.ts'
import { noOracle, startOracle } from './oracle.ts'
import { generateRequests } from './requests.ts'

/** Where libmodsecurity 3 is known to differ from ModSecurity 2, which we follow; by rule. */
const explained: Readonly<Record<number, string>> = {
  980170: 'is `log,noauditlog`; the oracle leaves out what is not for the audit log',
}

const folder = crsFolder()
const needed =
  folder === undefined
    ? needsCrs()
    : without({ 'libmodsecurity in Python': noOracle() === undefined ? 'there' : undefined })
const settings = `SecRuleEngine DetectionOnly
SecAction "id:900005,phase:1,nolog,pass,setvar:tx.blocking_paranoia_level=2"`

test(
  'The same rules match as in libmodsecurity 3, but for explained differences',
  needed,
  async () => {
    const { setup, rules } = findCrs(folder ?? '')
    const loaded = loadRules([
      recommendedFile,
      ...setup,
      { name: '(settings)', text: settings },
      ...rules,
    ])
    const program = compileRules(loaded, loaded.entries)
    const requests = generateRequests(Number(process.env.SALLYPORT_REQUESTS ?? 300), 20261125)
    const oracle = await startOracle([recommendedFile, ...setup, { text: settings }, ...rules])
    try {
      const { answers } = await oracle.ask(requests)
      const differences: string[] = []
      let matching = 0
      for (const [i, request] of requests.entries()) {
        const state = await runThrough(program, {
          ...request,
          ...(request.body === undefined ? {} : { body: Buffer.from(request.body, 'latin1') }),
        })
        const ours = new Set(idsOf(state))
        const theirs = new Set(answers[i]?.ids)
        matching += [...ours].filter((id) => theirs.has(id)).length
        const only = (here: ReadonlySet<number>, there: ReadonlySet<number>) =>
          [...here].filter((id) => !there.has(id) && !(id in explained))
        const more = only(ours, theirs)
        const fewer = only(theirs, ours)
        if (more.length + fewer.length > 0)
          differences.push(`+${more.join()} -${fewer.join()} ${JSON.stringify(request)}`)
      }
      assert.ok(matching > requests.length, `only ${matching} matches in common`)
      assert.deepEqual(differences, [])
    } finally {
      oracle.close()
    }
  },
)
