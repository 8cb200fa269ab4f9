import { createHash } from 'node:crypto'
import { deepFreeze } from '#contract/deep-freeze'
import { compared, examine, type Examined } from './examine.ts'
import { formatFault, type Fault } from './faults.ts'
import type { Environment } from './interpolate.ts'
import { fileRules, rules } from './rules/all.ts'
import type { ConfigKind } from './rules/rule.ts'
import type { ExchangeConfig, GatewayConfig } from './schema.ts'
import { revealSecrets } from './secrets.ts'

export type { Fault } from './faults.ts'
export { formatFault } from './faults.ts'

export type ConfigOf = { readonly gateway: GatewayConfig; readonly exchange: ExchangeConfig }

/** A configuration, or everything that is wrong with it. */
export type Loaded<Kind extends ConfigKind> =
  | {
      readonly ok: true
      /** Frozen, with every default filled in and every path absolute. */
      readonly config: ConfigOf[Kind]
      /** Twelve hex digits that change when any setting does. */
      readonly revision: string
      /** To be logged at start. */
      readonly warnings: readonly Fault[]
      /** Absolute paths of the files that it was made from, or that are read because it names them: a change of one wants a reload. */
      readonly files: readonly string[]
    }
  | {
      readonly ok: false
      readonly faults: readonly Fault[]
      readonly warnings: readonly Fault[]
      /** As far as it could be read. */
      readonly files: readonly string[]
    }

/**
 * Loads the configuration of one process from a file, those that it includes, and the environment.
 *
 * @param environment For `${NAME}` in it. This is the only place that reads the process's own.
 */
export const loadConfig = async <Kind extends ConfigKind>(
  kind: Kind,
  file: string,
  environment: Environment = process.env,
): Promise<Loaded<Kind>> => {
  const { value, faults, warnings, secrets, paths, place } = await examine(
    file,
    kind,
    environment,
    [...rules, ...fileRules],
  )
  if (faults.length > 0) return { ok: false, faults, warnings, files: paths }
  const unread = await revealSecrets(value, secrets, environment)
  if (unread.length > 0) return { ok: false, faults: unread.map(place), warnings, files: paths }
  return {
    ok: true,
    config: deepFreeze(value) as unknown as ConfigOf[Kind], // the schema saw to it
    revision: createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 12),
    warnings,
    files: paths,
  }
}

/** What `check` says of one file. */
export type Checked = Pick<Examined, 'file' | 'kind' | 'faults' | 'warnings'>

export type CheckOptions = {
  readonly environment?: Environment
  /** False for a configuration that is meant for another machine. */
  readonly lookAtFiles?: boolean
}

/** Finds everything that is wrong with each of some configurations, and with gateways and exchanges among them together. */
export const checkConfigs = async (
  files: readonly string[],
  { environment = process.env, lookAtFiles = true }: CheckOptions = {},
): Promise<readonly Checked[]> => {
  const asked = lookAtFiles ? [...rules, ...fileRules] : rules
  const examined: Examined[] = []
  for (const file of files) examined.push(await examine(file, undefined, environment, asked))
  return compared(examined).map(({ file, kind, faults, warnings }) => ({
    file,
    kind,
    faults,
    warnings,
  }))
}

/** Several faults, one a line. */
export const formatFaults = (faults: readonly Fault[]): string => faults.map(formatFault).join('\n')
