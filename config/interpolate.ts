import type { Complaint } from './faults.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export type Interpolated = {
  /** With what could not be filled in left as it was written. */
  readonly text: string
  readonly complaints: readonly Complaint[]
}

const maxVariableLength = 32_768

// `$${` is a literal `${`; `${NAME}`; `${NAME:-default}`; and any other `${`, which is a slip.
const reference = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\}|\$\{/g

/** Whether `text` has anything to fill in. */
export const isInterpolated = (text: string): boolean => text.includes('${')

/**
 * Fills in `${NAME}` and `${NAME:-default}` from the environment; the default also stands for an empty variable, as in a
 * shell. What a variable holds is never read as YAML and never filled in again.
 */
export const interpolate = (text: string, environment: Environment): Interpolated => {
  const complaints: Complaint[] = []
  const filled = text.replace(reference, (written, name?: string, byDefault?: string) => {
    if (written === '$${') return '${'
    if (name === undefined) {
      complaints.push({
        message: '`${` does not begin a variable here',
        remedy: 'write `${NAME}` or `${NAME:-default}`, and `$${` for a literal `${`',
      })
      return written
    }
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined
    if (byDefault !== undefined && (value === undefined || value === '')) return byDefault
    if (value === undefined) {
      complaints.push({
        message: `the environment variable \`${name}\` is not set`,
        remedy: `set it, or write \`\${${name}:-default}\` if there is a good default`,
      })
      return written
    }
    if (value.length > maxVariableLength) {
      complaints.push({
        message: `the environment variable \`${name}\` is longer than ${maxVariableLength} characters`,
        remedy: 'put what it holds into a file and name the file',
      })
      return written
    }
    return value
  })
  return { text: filled, complaints }
}
