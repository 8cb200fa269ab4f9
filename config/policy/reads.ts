import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PolicyReads } from '#contract/policy'

type Term = { readonly type: string; readonly value: unknown }

/**
 * What an entrypoint reads of its input, as `opa deps` says of its rules and all that these use.
 *
 * A member of which they only ask whether it is a string counts as that: `opa deps` is asked of the rules without such questions,
 * and what it still finds is read. A question is a line of its own, `is_string(input.…)`, perhaps after `not`.
 *
 * @returns undefined if it reads the whole of it, or OPA does not say, or a rule uses `with`: what is read under it OPA does not
 *   always find.
 */
export const readsOf = (
  opa: string,
  directory: string,
  sources: readonly string[],
  entrypoint: string,
): PolicyReads | undefined => {
  const copies = mkdtempSync(join(tmpdir(), 'sallyport-policy-reads-'))
  try {
    const modules = sources
      .filter((one) => one.endsWith('.rego'))
      .map((name) => ({ name, rego: readFileSync(join(directory, name), 'utf8') }))
    const trees = modules.map(({ name }) => treeOf(opa, join(directory, name)))
    if (trees.some((tree) => tree === undefined || hasWith(tree))) return undefined
    const isBuiltIn = !trees.some(namesIsString)
    const asked = new Set<string>()
    for (const { name, rego } of modules) {
      const isCode = isBuiltIn && !rawString.test(rego) // in a text of several lines a line may be anything
      const ask = (_: string, before: string, path: string) => {
        asked.add(path)
        return `${before}true`
      }
      writeFileSync(join(copies, name), isCode ? rego.replaceAll(isStringOfInput, ask) : rego)
    }
    const query = `data.${entrypoint.replaceAll('/', '.')}`
    const { status, stdout } = spawnSync(opa, ['deps', '-f', 'json', '-d', '.', query], {
      cwd: copies,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    if (status !== 0) return undefined
    const { base = [] } = JSON.parse(stdout) as { base?: readonly (readonly Term[])[] }
    const paths = base
      .filter(([root]) => root?.type === 'var' && root.value === 'input')
      .map(([, ...path]) => pathOf(path))
    const values = [...new Set(paths)].sort()
    return values.includes('') ? undefined : { values, strings: [...asked].sort() }
  } finally {
    rmSync(copies, { recursive: true })
  }
}

const isStringOfInput = /^(\s*(?:not )?)is_string\(input\.(\w+(?:\.\w+)*)\)$/gm

/** Where one may begin: in what is not a comment. */
const rawString = /^(?!\s*#).*`/m

const maxTreeBytes = 64 * 1024 * 1024

const treeOf = (opa: string, file: string): unknown => {
  const { status, stdout } = spawnSync(opa, ['parse', '-f', 'json', file], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: maxTreeBytes,
  })
  return status === 0 ? (JSON.parse(stdout) as unknown) : undefined
}

const hasWith = (tree: unknown): boolean => someMember(tree, (_, name) => name === 'with')

/** Whether it makes something of this name, or brings it in: any mention but that of a variable, which a call is. */
const namesIsString = (tree: unknown): boolean =>
  someMember(
    tree,
    (value, name, of) => value === 'is_string' && !(name === 'value' && of['type'] === 'var'),
  )

type Ask = (value: unknown, name: string, of: Readonly<Record<string, unknown>>) => boolean

const someMember = (tree: unknown, ask: Ask): boolean => {
  if (typeof tree !== 'object' || tree === null) return false
  const of = tree as Readonly<Record<string, unknown>>
  return Object.entries(of).some(([name, value]) => ask(value, name, of) || someMember(value, ask))
}

/** Up to the first step that is not a name: what lies below it is read as a whole. */
const pathOf = (terms: readonly Term[]): string => {
  const end = terms.findIndex(
    ({ type, value }) => type !== 'string' || !/^[a-zA-Z]\w*$/.test(String(value)),
  )
  return terms
    .slice(0, end < 0 ? terms.length : end)
    .map(({ value }) => String(value))
    .join('.')
}
