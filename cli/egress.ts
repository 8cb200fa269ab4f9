import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { AuditEvent } from '#contract/audit-event'
import { exitCodes, readArguments } from './command.ts'
import { asYaml } from './egress/print.ts'
import { collect, type Collected } from './egress/seen.ts'
import { suggest } from './egress/suggest.ts'

const usage = `sallyport egress suggest [--rule ID] [RECORDS…]

Reads a gateway's records, of files or of standard input, and prints what the rules with \`mode: report\` let through and
\`enforce\` would refuse: as the smallest list of destinations, to be looked over and pasted into \`egress.rules\`.

  --rule ID  of this rule alone

Exits with 0, 1 if records cannot be read, 2 if the command was not understood.
`

/** `sallyport egress suggest`: from what workloads do to what they may. */
export const run = async (args: readonly string[]): Promise<number> => {
  const read = readArguments(args, {
    allowPositionals: true,
    options: { rule: { type: 'string' }, help: { type: 'boolean', short: 'h', default: false } },
  })
  if (read.ok && read.given.values.help) {
    process.stdout.write(usage)
    return exitCodes.done
  }
  if (!read.ok || read.given.positionals[0] !== 'suggest') {
    process.stderr.write(`${read.ok ? 'Say `suggest`.' : read.message}\n\n${usage}`)
    return exitCodes.usage
  }
  const [, ...files] = read.given.positionals
  const collected = collect(read.given.values.rule)
  const all = files.length === 0 ? [undefined] : files
  let records = 0
  let unreadable = 0
  for (const file of all) {
    const name = file ?? 'standard input'
    const taken = await takeAll(
      file === undefined ? process.stdin : createReadStream(file),
      collected,
    ).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === undefined) throw cause
      return `cannot be read (${cause.code})`
    })
    if (typeof taken === 'string') {
      process.stderr.write(`${name} ${taken}\n`)
      return exitCodes.faults
    }
    records += taken.records
    unreadable += taken.unreadable
  }
  const seen = collected.seen()
  if (unreadable > 0) process.stderr.write(`Lines that are no records: ${unreadable}\n`)
  if (seen.length > 0) process.stdout.write(asYaml(suggest(seen)))
  else process.stderr.write(`Nothing to suggest, by ${records} records.\n`)
  // A file of something else must not look like one that shows that nothing is missing.
  return records === 0 && unreadable > 0 ? exitCodes.faults : exitCodes.done
}

/** @returns How many lines were records, or what is wrong with them. */
const takeAll = async (
  from: Readable,
  { take }: Collected,
): Promise<{ readonly records: number; readonly unreadable: number } | string> => {
  let records = 0
  let unreadable = 0
  for await (const line of createInterface({ input: from, crlfDelay: Infinity })) {
    if (line.trim() === '') continue
    const event = recordIn(line)
    if (!event) {
      unreadable += 1
      continue
    }
    records += 1
    if (!take(event)) return 'has too many places to be remembered; take fewer records, or one rule'
  }
  return { records, unreadable }
}

const recordIn = (line: string): AuditEvent | undefined => {
  try {
    const value = JSON.parse(line) as Partial<AuditEvent> | null
    return typeof value?.decisionId === 'string' && typeof value.kind === 'string'
      ? (value as AuditEvent)
      : undefined
  } catch {
    return undefined // the last line of a file that is being written, most often
  }
}
