import { phases } from '#plugins/waf/seclang/syntax'
import { loadRuleSet } from '#plugins/waf/rule-set'
import { exitCodes } from '../command.ts'
import { optionsOf, type Given } from './given.ts'

/** `sallyport waf check`: what was loaded, and what in it does nothing here. */
export const checkRules = (given: Given): number => {
  const ruleSet = loadRuleSet(optionsOf(given))
  const program = ruleSet.programFor()
  const perPhase = phases.map((phase) => program.phases.get(phase)?.units.length ?? 0)
  const { signatures, files, ruleCount, notes, warnings } = ruleSet
  if (given.json) {
    const report = { signatures, files, ruleCount, perPhase, notes, warnings }
    process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`)
    return exitCodes.done
  }
  const lines = [
    `${signatures.length > 0 ? signatures.join(', ') : 'Rules without a signature'}: ${ruleCount} rules in ${files.length} files`,
    `At paranoia level ${given.paranoia} ${perPhase.join(' + ')} of them run in phases 1 to 5; the rest is decided at load.`,
    ...warnings.map((text) => `warning: ${text}`),
    ...(notes.length === 0 ? ['Nothing in them is without effect here.'] : []),
    ...notes.map(
      ({ file, line, what, why }) => `${file}:${line}: ${what} has no effect here: ${why}`,
    ),
  ]
  process.stdout.write(lines.map((line) => `${line}\n`).join(''))
  return exitCodes.done
}
