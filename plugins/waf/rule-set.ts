import { fileURLToPath } from 'node:url'
import { makeKeptCollections } from './engine/kept-collections.ts'
import { compileRules, type Program } from './engine/program.ts'
import { excludeRules } from './exclude.ts'
import { findCrs } from './find-crs.ts'
import type { RouteWafOptions, WafOptions } from './options.ts'
import { loadRules } from './seclang/load.ts'
import type { Entry, LoadedRules, Note } from './seclang/rule.ts'

/** Faults in options that only show when the rules are known. Each is a sentence. */
export class WafOptionsError extends Error {
  override readonly name = 'WafOptionsError'
  readonly faults: readonly string[]
  constructor(faults: readonly string[]) {
    super(faults.join('\n'))
    this.faults = faults
  }
}

/** Rules, loaded once, and compiled once for each way in which routes want them. */
export type RuleSet = {
  readonly signatures: readonly string[]
  readonly files: readonly string[]
  readonly ruleCount: number
  /** Words that load and do nothing here, and why. */
  readonly notes: readonly Note[]
  /** What an operator should know: rules that decide are excluded, say. */
  readonly warnings: readonly string[]
  readonly ids: ReadonlySet<number>
  /**
   * The program for a route. Routes that want the same share one.
   *
   * @throws WafOptionsError for an exclusion that names no rule.
   */
  readonly programFor: (route?: RouteWafOptions) => Program
}

const ownRules = fileURLToPath(new URL('../../config/waf/', import.meta.url))
/** Engine settings that every rule set builds on. */
export const recommendedFile = `${ownRules}recommended.conf`
/** Rules that sum scores up and decide: without them nothing is refused. */
const deciding = [949110, 949111, 959100, 959101, 8190010]

/**
 * Loads the rules that the options name: engine settings, the setup of CRS, the options, the rules, files of one's own.
 *
 * @throws SecLangError with file and line for a fault in a rule file; WafOptionsError for one in the options.
 */
export const loadRuleSet = (options: WafOptions): RuleSet => {
  const loaded = loadAll(options)
  const kept = makeKeptCollections(loaded.settings.collectionTimeoutSeconds)
  const programs = new Map<string, Program>()
  const excluded = excludeRules(loaded.entries, options.exclusions)
  if (excluded.faults.length > 0) throw new WafOptionsError(excluded.faults)
  const ids = idsOf(excluded.entries)
  const programFor = (route: RouteWafOptions = {}): Program => {
    const { paranoia, exclusions = [] } = route
    const key = JSON.stringify([paranoia, exclusions])
    const known = programs.get(key)
    if (known) return known
    const own = excludeRules(excluded.entries, exclusions)
    if (own.faults.length > 0) throw new WafOptionsError(own.faults)
    const entries =
      paranoia === undefined ? own.entries : withParanoia(own.entries, options, paranoia)
    const program = compileRules(loaded, entries, kept)
    programs.set(key, program)
    return program
  }
  return {
    signatures: loaded.signatures,
    files: loaded.files,
    ruleCount: ids.size,
    notes: loaded.notes,
    warnings: deciding
      .filter((id) => idsOf(loaded.entries).has(id) && !ids.has(id))
      .map(
        (id) => `rule ${id}, which decides by the score, is excluded: less or nothing is refused`,
      ),
    ids,
    programFor,
  }
}

const idsOf = (entries: readonly Entry[]): ReadonlySet<number> =>
  new Set(entries.flatMap((entry) => (entry.kind === 'rule' ? [entry.rule.id] : [])))

const loadAll = (options: WafOptions): LoadedRules => {
  const settings = { name: '(options)', text: settingsText(options, options.paranoia) }
  const engine = { name: '(limits)', text: engineText(options) }
  if (options.crs === undefined)
    return loadRules([
      recommendedFile,
      engine,
      settings,
      `${ownRules}base/*.conf`,
      ...options.ruleFiles,
    ])
  const { setup, rules } = crsFiles(options.crs)
  return loadRules([recommendedFile, ...setup, engine, settings, ...rules, ...options.ruleFiles])
}

const crsFiles = (folder: string) => {
  try {
    return findCrs(folder)
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause
    throw new WafOptionsError([cause.message])
  }
}

const engineText = ({ limits, responses }: WafOptions): string => `
SecRuleEngine On
SecRequestBodyAccess On
SecRequestBodyLimit ${limits.maxBodyBytes}
SecRequestBodyJsonDepthLimit ${limits.maxDepth}
SecArgumentsLimit ${limits.maxArguments}
SecResponseBodyAccess ${responses ? 'On' : 'Off'}
SecResponseBodyLimit ${limits.maxResponseBodyBytes}
`

const optionsId = 8_999_001

/** What `crs-setup.conf` would say; it comes after that file, so it wins. CRS v3 spells some otherwise. */
const settingsText = (options: WafOptions, paranoia: number): string => {
  const detection = Math.max(paranoia, options.detectionParanoia ?? paranoia)
  const settings = {
    blocking_paranoia_level: paranoia,
    detection_paranoia_level: detection,
    paranoia_level: paranoia,
    executing_paranoia_level: detection,
    inbound_anomaly_score_threshold: options.inboundThreshold,
    outbound_anomaly_score_threshold: options.outboundThreshold,
    early_blocking: options.earlyBlocking ? 1 : 0,
    allowed_methods: options.methods.join(' '),
    allowed_request_content_type: options.contentTypes.map((type) => `|${type}|`).join(' '),
  }
  const setvars = Object.entries(settings).map(([name, value]) => `setvar:'tx.${name}=${value}'`)
  return `SecAction "id:${optionsId},phase:1,pass,t:none,nolog,${setvars.join(',')}"\n`
}

const withParanoia = (
  entries: readonly Entry[],
  options: WafOptions,
  paranoia: number,
): readonly Entry[] => {
  const [replacement] = loadRules([
    { name: '(route)', text: settingsText(options, paranoia) },
  ]).entries
  return entries.map((entry) =>
    entry.kind === 'rule' && entry.rule.id === optionsId && replacement ? replacement : entry,
  )
}
