import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { without } from '#test/tools'

/**
 * Where the Go module coraza-coreruleset v4.25.0 is unpacked: in `SALLYPORT_CRS`, or where `.ci` puts it. Undefined if
 * it is not on this machine.
 */
export const crsFolder = (): string | undefined => {
  const folder = process.env.SALLYPORT_CRS ?? join(homedir(), '.cache', 'sallyport', 'crs-4.25.0')
  return existsSync(join(folder, 'rules', '@owasp_crs')) ? folder : undefined
}

export const noCrs =
  'a Core Rule Set: go mod download github.com/corazawaf/coraza-coreruleset/v4@v4.25.0'
/** Options of a test that needs it: skipped without, or a failure where `.ci/run` has put it. */
export const needsCrs = (): { readonly skip?: string } => without({ [noCrs]: crsFolder() })

const debianFolder = '/usr/share/modsecurity-crs'
/** Debian's package modsecurity-crs, CRS 3.3, if it is installed. */
export const debianCrs = (): string | undefined =>
  existsSync(join(debianFolder, 'rules')) ? debianFolder : undefined
