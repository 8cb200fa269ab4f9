import { globSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** The files of a Core Rule Set, in the order in which they are to be loaded. */
export type CrsFiles = { readonly setup: readonly string[]; readonly rules: readonly string[] }

/** Where the setup file of each kind of distribution is, the operator's own before the example. */
const setups = [
  'crs-setup.conf',
  'crs-setup.conf.example',
  'rules/@crs-setup.conf.example',
  '@crs-setup.conf.example',
]
/** Debian keeps it apart from the rules. */
const debianSetup = '/etc/modsecurity/crs/crs-setup.conf'

/**
 * Finds the rules in an unpacked release, in Debian's package, or in the Go module coraza-coreruleset. Plugins are
 * taken along: their configuration and what comes before the rules, then what comes after.
 *
 * @throws TypeError naming the folder, if there is no rule set in it.
 */
export const findCrs = (folder: string): CrsFiles => {
  const isFile = (path: string) => statSync(path, { throwIfNoEntry: false })?.isFile() === true
  const find = (pattern: string) => globSync(join(folder, pattern)).sort()
  const rules = ['rules/@owasp_crs/*.conf', '@owasp_crs/*.conf', 'rules/*.conf', '*-9??-*.conf']
    .map(find)
    .find((files) => files.some((file) => /(?:REQUEST|RESPONSE)-9\d\d-/.test(file)))
  if (!rules) throw new TypeError(`there is no Core Rule Set in ${folder}`)
  const own = setups.map((name) => join(folder, name)).find(isFile)
  const setup =
    own ?? (folder.includes('modsecurity-crs') && isFile(debianSetup) ? debianSetup : undefined)
  if (setup === undefined) throw new TypeError(`there is no crs-setup.conf in ${folder}`)
  return {
    setup: [setup, ...find('plugins/*-config.conf'), ...find('plugins/*-before.conf')],
    rules: [...rules, ...find('plugins/*-after.conf')],
  }
}
