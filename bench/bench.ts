/** Runs one benchmark: `npm run bench -- NAME [OPTIONS]`. Without a name it lists what there is. */
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && file !== basename(import.meta.filename))
  .map((file) => file.slice(0, -'.ts'.length))
  .sort()

/** The question that a benchmark answers: the first sentence of its first comment. */
const questionOf = (name: string): string => {
  const text = readFileSync(join(import.meta.dirname, `${name}.ts`), 'utf8')
  const [, comment = ''] = /\/\*\*(.*?)\*\//s.exec(text) ?? []
  const [sentence = ''] =
    /^.*?[?.](?=\s|$)/.exec(comment.replaceAll(/\s*\n?\s*\*\s+/g, ' ').trim()) ?? []
  return sentence
}

const [, , name = ''] = process.argv
if (names.includes(name)) {
  process.argv.splice(2, 1) // the benchmark reads what follows as its own
  await import(`./${name}.ts`)
} else {
  const width = Math.max(...names.map((each) => each.length))
  console.log('npm run bench -- NAME [OPTIONS]\n')
  for (const each of names) console.log(`  ${each.padEnd(width)}  ${questionOf(each)}`)
  process.exitCode = name === '' ? 0 : 2
}
