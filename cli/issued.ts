import { exitCodes, readArguments } from './command.ts'

const usage = `sallyport issued list [--json] [--subject SPIFFE_ID] [--kind KIND] [--admin URL]

Who holds what until when: the credentials that the exchange has issued and that have not ended, the earliest end first.

  --subject SPIFFE_ID  of this one alone
  --kind KIND          jwt-svid, access-token, txn-token, x509-svid or inspection-leaf
  --json               one JSON document, for scripts
  --admin URL          admin listener of the exchange, http://127.0.0.1:9912 by default

Exits with 0, 1 if the exchange cannot be asked, 2 if the command was not understood.
`

type Listed = {
  readonly total: number
  readonly forgotten: number
  readonly issued: readonly Readonly<
    Record<'id' | 'kind' | 'subject' | 'client' | 'audience' | 'expiresAt', string>
  >[]
}

const timeoutMs = 5000

/** `sallyport issued list`: asks the exchange's admin listener. */
export const run = async (args: readonly string[]): Promise<number> => {
  const read = readArguments(args, {
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      subject: { type: 'string' },
      kind: { type: 'string' },
      admin: { type: 'string', default: 'http://127.0.0.1:9912' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (read.ok && read.given.values.help) {
    process.stdout.write(usage)
    return exitCodes.done
  }
  if (!read.ok || read.given.positionals.join(' ') !== 'list') {
    process.stderr.write(`${read.ok ? 'Say `list`.' : read.message}\n\n${usage}`)
    return exitCodes.usage
  }
  const { json, subject, kind, admin } = read.given.values
  const url = URL.parse('/issued', admin)
  if (url === null) {
    process.stderr.write(`--admin: ${admin} is not a URL\n`)
    return exitCodes.usage
  }
  if (subject !== undefined) url.searchParams.set('subject', subject)
  if (kind !== undefined) url.searchParams.set('kind', kind)
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) })
    const text = await answer.text()
    if (!answer.ok) {
      process.stderr.write(`${url.href} answered ${answer.status}: ${text.slice(0, 500)}\n`)
      return exitCodes.faults
    }
    const listed = JSON.parse(text) as Listed
    process.stdout.write(json ? `${JSON.stringify(listed, undefined, 2)}\n` : table(listed))
    return exitCodes.done
  } catch (cause) {
    const { message, cause: deeper } = cause as Error
    const why = deeper instanceof Error ? deeper.message : message
    process.stderr.write(`${url.href} cannot be asked: ${why}\n`)
    return exitCodes.faults
  }
}

const columns = ['expiresAt', 'kind', 'subject', 'client', 'audience', 'id'] as const

const table = ({ issued, total, forgotten }: Listed): string => {
  const width = (column: (typeof columns)[number]) =>
    Math.max(column.length, ...issued.map((one) => one[column].length))
  const widths = columns.map(width)
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd()
  const more = total > issued.length ? `, the first ${issued.length} shown` : ''
  const lost = forgotten > 0 ? `; ${forgotten} older ones are forgotten (maxIssued)` : ''
  return [
    line(columns),
    ...issued.map((one) => line(columns.map((column) => one[column]))),
    `${total} issued and not ended${more}${lost}`,
    '',
  ].join('\n')
}
