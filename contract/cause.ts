const maxChars = 1000

/** What lay behind a problem, as one bounded line for a record or a log. Stacks go to the log alone. */
export const causeText = (cause: unknown): string => textOf(cause).slice(0, maxChars)

const textOf = (cause: unknown): string => {
  if (typeof cause === 'string') return cause
  if (!(cause instanceof Error)) return safeJson(cause)
  const { code } = cause as NodeJS.ErrnoException
  const own = `${cause.name}: ${cause.message}${code && !cause.message.includes(code) ? ` (${code})` : ''}`
  return cause.cause === undefined ? own : `${own}; ${textOf(cause.cause)}`
}

const safeJson = (value: unknown): string => {
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    return String(value)
  }
}
