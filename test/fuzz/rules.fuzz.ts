import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { compileRules, type Program } from '#plugins/waf/engine/program'
import { loadRules } from '#plugins/waf/seclang/load'
import { SecLangError } from '#plugins/waf/seclang/syntax'
import { runThrough } from '#test/plugins/waf/support'

/** Rules load or are a fault with file and line; what loads runs. */
export const fuzz = async (data: Buffer): Promise<void> => {
  const text = data.toString('latin1')
  // Words that read files would make the result depend on the machine.
  if (/include|file/i.test(text)) return
  const program = programOf(text)
  if (!program) return
  try {
    await runThrough(program, { target: "/a?b=1' or 1=1--", body: 'c=<script>' })
  } catch (cause) {
    // What an operator reads may come of a macro, and then the request is what it cannot read: that one is refused.
    if (!(cause instanceof TypeError && text.includes('%{') && /^@\w+ /.test(cause.message)))
      throw cause
  }
}

const programOf = (text: string): Program | undefined => {
  try {
    const loaded = loadRules([{ name: 'fuzzed.conf', text }])
    return compileRules(loaded, loaded.entries)
  } catch (cause) {
    if (!(cause instanceof SecLangError && /^fuzzed\.conf:\d+: /.test(cause.message))) throw cause
    return undefined
  }
}

const rules = globSync(fileURLToPath(new URL('../../config/waf/base/*.conf', import.meta.url)))
export const seeds: readonly string[] = [
  ...rules.flatMap((file) => readFileSync(file, 'latin1').split('\n\n').slice(0, 12)),
  'SecAction "id:1,phase:1,pass,setvar:tx.a=+%{tx.b},setvar:!tx.c,skipAfter:END,ctl:ruleRemoveTargetById=2;ARGS:x"\nSecMarker END',
  'SecRule &ARGS|!ARGS:a|REQUEST_HEADERS:/^x/ "!@within %{tx.a}" "id:2,deny,status:403,t:none,t:lowercase,multiMatch,capture,chain"\nSecRule TX:1 "@ge 5"',
  'SecRuleUpdateTargetById 2 "!ARGS:b"\nSecRuleRemoveByTag a\nSecDefaultAction "phase:2,log,pass"',
]
