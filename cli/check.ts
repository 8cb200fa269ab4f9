import { checkConfigs, formatFault, type Checked, type Fault } from '#config/load'
import { exitCodes, readArguments } from './command.ts'

const usage = `sallyport check [--json] [--no-files] FILE…

Finds everything that is wrong with configurations, without starting anything. Given those of a gateway and its exchange
together, it also finds where the two disagree. Files that they \`include:\` need not be named.

  --json      one JSON document instead of lines, for scripts
  --no-files  does not look at the certificates and other files that they name, which may be on another machine

Exits with 0 if there are no faults (warnings do not count), 1 if there are, 2 if the command was not understood.
`

/** `sallyport check`: all faults of some configurations at once. */
export const run = async (args: readonly string[]): Promise<number> => {
  const read = readArguments(args, {
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      'no-files': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (!read.ok || (read.given.positionals.length === 0 && !read.given.values.help)) {
    process.stderr.write(`${read.ok ? 'Name a file.' : read.message}\n\n${usage}`)
    return exitCodes.usage
  }
  const { values, positionals } = read.given
  if (values.help) {
    process.stdout.write(usage)
    return exitCodes.done
  }
  const checked = await checkConfigs(positionals, { lookAtFiles: !values['no-files'] })
  const ok = checked.every(({ faults }) => faults.length === 0)
  process.stdout.write(
    values.json ? `${JSON.stringify({ ok, files: checked }, undefined, 2)}\n` : report(checked),
  )
  return ok ? exitCodes.done : exitCodes.faults
}

const report = (checked: readonly Checked[]): string => {
  // A shared file's faults belong to each file that includes it, and are told once.
  const faults = new Set(checked.flatMap((file) => file.faults.map(formatFault)))
  const warnings = new Set(checked.flatMap((file) => file.warnings.map(warningLine)))
  const names = checked.map(({ file, kind }) => (kind === undefined ? file : `${file} (${kind})`))
  const total = `${names.join(', ')}: ${count(faults.size, 'fault')}, ${count(warnings.size, 'warning')}`
  return [...faults, ...warnings, total].map((line) => `${line}\n`).join('')
}

const warningLine = (fault: Fault): string =>
  formatFault({ ...fault, message: `warning: ${fault.message}` })

const count = (n: number, what: string): string =>
  `${n === 0 ? 'no' : n} ${n === 1 ? what : `${what}s`}`
