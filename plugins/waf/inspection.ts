import type { InspectionRecord, MatchedRule } from '#contract/inspection'
import type { RuleMatch, State } from './engine/state.ts'

const maxRules = 20
const maxMatchedBytes = 100
const maxNameBytes = 100
/** Names of what holds secrets: the value must not reach a log, whatever a rule made of it. */
const secretNames =
  /authorization|cookie|token|secret|passw|passwd|pwd|api[-_]?key|session|credential|signature|assertion/i

/** Sums up what the rules found: each rule once before any of them again, as the list is bounded. */
export const recordOf = (
  state: State,
  mode: 'enforce' | 'detect',
  partly: boolean,
): InspectionRecord => {
  const distinct = new Map<string, MatchedRule>()
  for (const match of state.matches) {
    const rule = describe(match)
    const key = `${rule.id} ${rule.variable}`
    if (!distinct.has(key)) distinct.set(key, rule)
  }
  const rules = eachRuleFirst([...distinct.values()])
  const decidedBy = (state.interruption ?? state.detection)?.ruleId
  return {
    mode,
    inboundScore: scoreOf(state, 'inbound'),
    outboundScore: scoreOf(state, 'outbound'),
    rules: rules.slice(0, maxRules),
    moreMatches: Math.max(0, rules.length - maxRules) + state.droppedMatches,
    ...(decidedBy === undefined ? {} : { decidedBy }),
    ...(partly ? { partly: true } : {}),
  }
}

const eachRuleFirst = (rules: readonly MatchedRule[]): readonly MatchedRule[] => {
  const seen = new Set<number>()
  const again: MatchedRule[] = []
  const first = rules.filter((rule) => {
    const isNew = !seen.has(rule.id)
    if (isNew) seen.add(rule.id)
    else again.push(rule)
    return isNew
  })
  return [...first, ...again]
}

/** CRS v4 and the base rules name it one way, CRS v3 another. */
const scoreOf = ({ tx }: State, direction: 'inbound' | 'outbound'): number => {
  const older = direction === 'inbound' ? 'anomaly_score' : 'outbound_anomaly_score'
  const text = tx.get(`blocking_${direction}_anomaly_score`) ?? tx.get(older) ?? '0'
  const score = Number(text)
  return Number.isFinite(score) ? score : 0
}

const describe = (match: RuleMatch): MatchedRule => {
  const [first] = match.matched
  const variable = escapeBytes((first?.name ?? '').slice(0, maxNameBytes))
  return {
    id: match.ruleId,
    message: escapeBytes(match.message.slice(0, 200)),
    ...(match.severity === undefined ? {} : { severity: match.severity }),
    variable,
    matched: matchedPart(match, variable),
    exclusion: exclusionOf(match.ruleId, variable.replace(/^&/, '')),
  }
}

const exclusionOf = (rule: number, target: string): string =>
  target === '' ? `{ rule: "${rule}" }` : `{ rule: "${rule}", target: ${JSON.stringify(target)} }`

/** What CRS puts into logdata as `Matched Data: … found within …`, or else the beginning of the value. */
const matchedPart = (match: RuleMatch, variable: string): string => {
  if (secretNames.test(variable)) return '[redacted]'
  const [, captured] = /^Matched Data: ([^]*?) found within /.exec(match.logData) ?? []
  const part = captured ?? match.matched[0]?.value ?? ''
  return escapeBytes(part.slice(0, maxMatchedBytes))
}

const escapeBytes = (text: string): string =>
  text.replace(
    /[^ -~]/g,
    (char) => `\\x${(char.charCodeAt(0) & 255).toString(16).padStart(2, '0')}`,
  )
