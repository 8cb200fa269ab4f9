import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exitCodes, readArguments } from './command.ts'
import { generatedFiles } from './docs/generated.ts'

const usage = `sallyport docs [--check]

Writes docs/reference from the tables and schemas in the sources. With --check it writes nothing, and exits with 1 if what
is there is not what it would write.
`

const directory = join(import.meta.dirname, '../docs/reference')

/** `sallyport docs`: keeps the reference in step with the sources. */
export const run = async (args: readonly string[]): Promise<number> => {
  const read = readArguments(args, {
    options: { check: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  })
  if (!read.ok) {
    process.stderr.write(`${read.message}\n\n${usage}`)
    return exitCodes.usage
  }
  if (read.given.values.help) {
    process.stdout.write(usage)
    return exitCodes.done
  }
  const files = generatedFiles()
  if (read.given.values.check) {
    const differing = await outOfStep(files)
    for (const trouble of differing) process.stdout.write(`docs/reference/${trouble}\n`)
    return differing.length === 0 ? exitCodes.done : exitCodes.faults
  }
  await mkdir(directory, { recursive: true })
  for (const [name, text] of files) await writeFile(join(directory, name), text)
  return exitCodes.done
}

/** What is not as it would be written, and what is there and would not be. */
export const outOfStep = async (files: ReadonlyMap<string, string>): Promise<readonly string[]> => {
  const there = new Set(await readdir(directory).catch(() => []))
  const trouble: string[] = []
  for (const [name, text] of files) {
    const current = there.has(name) ? await readFile(join(directory, name), 'utf8') : undefined
    if (current !== text)
      trouble.push(
        `${name}: ${current === undefined ? 'is missing' : 'is out of date'}: run \`npm run docs\``,
      )
  }
  for (const name of there)
    if (!files.has(name)) trouble.push(`${name}: is generated from nothing: take it out`)
  return trouble
}
