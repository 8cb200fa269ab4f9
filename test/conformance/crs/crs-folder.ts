import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * Where the Go module coraza-coreruleset v4.25.0 is unpacked: in `SALLYPORT_CRS`, or where `.ci` puts it. Undefined if
 * it is not on this machine.
 */
export const crsFolder = (): string | undefined => {
  const folder = process.env.SALLYPORT_CRS ?? join(homedir(), '.cache', 'sallyport', 'crs-4.25.0')
  return existsSync(join(folder, 'rules', '@owasp_crs')) ? folder : undefined
}

export const noCrs =
  'no Core Rule Set on this machine: go mod download github.com/corazawaf/coraza-coreruleset/v4@v4.25.0'
/** Debian's package modsecurity-crs. */
export const debianCrs = '/usr/share/modsecurity-crs'
