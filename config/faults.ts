/** One thing that is wrong with a configuration, where it stands, and what to do about it. */
export type Fault = {
  /** As it was named on the command line, or relative to the file that includes it. */
  readonly file: string
  /** Both count from 1. */
  readonly line: number
  readonly column: number
  /** Such as `routes[3].match.path`; '' for a file as a whole. */
  readonly path: string
  readonly message: string
  readonly remedy: string
}

/** What is wrong with a value, and what to do about it. */
export type Complaint = { readonly message: string; readonly remedy: string }

/** What a check found, before it is known where in which file that stands. */
export type Finding = {
  /** JSON pointer into the merged configuration. */
  readonly pointer: string
  /** Whether the key or its value is to blame. */
  readonly at: 'key' | 'value'
  readonly message: string
  readonly remedy: string
  /** A warning does not stop a start. */
  readonly severity?: 'fault' | 'warning'
  /** Nobody reads what is to blame, so what stands around it can be judged all the same. */
  readonly aside?: true
}

/** `file:line:column: what — remedy`. */
export const formatFault = ({ file, line, column, message, remedy }: Fault): string =>
  `${file}:${line}:${column}: ${message} — ${remedy}`

const maxQuoted = 80

/** A value as it is shown in a message: short, on one line, without the password of a URL. */
export const quote = (value: unknown): string => {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object' && value !== null) return 'a mapping'
  const text = typeof value === 'string' ? value : String(value)
  const shown = text.replace(/\/\/[^/@\s]*@/g, '//…@')
  return JSON.stringify(shown.length > maxQuoted ? `${shown.slice(0, maxQuoted)}…` : shown)
}

/** A key or name as it is shown in a message. */
export const tick = (name: string): string => `\`${JSON.stringify(name).slice(1, -1)}\``

/** "`a`, `b` and `c`", cut off where it gets long. */
export const listed = (names: readonly string[], lastWord = 'and'): string => {
  const shown = names.slice(0, 12).map(tick)
  if (names.length > 12) return `${shown.join(', ')} …`
  const last = shown.pop()
  if (last === undefined) return 'nothing'
  return shown.length === 0 ? last : `${shown.join(', ')} ${lastWord} ${last}`
}
