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
 * and what it still finds is read.
 *
 * @returns undefined if it reads the whole of it, or OPA does not say.
 */
export const readsOf = (
  opa: string,
  directory: string,
  sources: readonly string[],
  entrypoint: string,
): PolicyReads | undefined => {
  const copies = mkdtempSync(join(tmpdir(), 'sallyport-policy-reads-'))
  try {
    const asked = new Set<string>()
    for (const name of sources.filter((one) => one.endsWith('.rego'))) {
      const rego = readFileSync(join(directory, name), 'utf8')
      if (/\bwith\s+is_string\b/.test(rego)) return undefined // it may be another function then
      writeFileSync(
        join(copies, name),
        rego.replaceAll(isStringOfInput, (_, path: string) => {
          asked.add(path)
          return 'true'
        }),
      )
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

const isStringOfInput = /\bis_string\(input\.(\w+(?:\.\w+)*)\)/g

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
