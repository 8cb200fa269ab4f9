import { readFileSync, globSync } from 'node:fs'
import { parse } from 'yaml'

/** One request of a go-ftw test and what is expected of it. Only what the tests of CRS use. */
export type Stage = {
  readonly input: {
    readonly method?: string
    readonly uri?: string
    readonly version?: string
    readonly headers?: Readonly<Record<string, unknown>>
    readonly data?: string
    readonly encoded_request?: string
    readonly autocomplete_headers?: boolean
  }
  readonly output: {
    readonly status?: number
    readonly expect_error?: boolean
    readonly log?: {
      readonly expect_ids?: readonly number[]
      readonly no_expect_ids?: readonly number[]
      readonly match_regex?: string
      readonly no_match_regex?: string
    }
  }
}

export type FtwTest = {
  readonly name: string
  readonly file: string
  readonly stages: readonly Stage[]
}

type TestFile = {
  readonly rule_id?: number
  readonly tests?: readonly { readonly test_id: number; readonly stages: readonly Stage[] }[]
}

/**
 * Reads all tests below a folder, in the YAML of go-ftw v2.
 *
 * @throws Error naming the file, for one that is not such YAML.
 */
export const readTests = (folder: string): readonly FtwTest[] => {
  const files = globSync(`${folder}/**/*.y{a,}ml`).sort()
  return files.flatMap((file) => {
    const content = parse(readFileSync(file, 'utf8')) as TestFile | null
    return (content?.tests ?? []).map(({ test_id: id, stages }) => {
      if (!Array.isArray(stages)) throw new Error(`${file}: test ${id} has no stages`)
      return { name: `${content?.rule_id}-${id}`, file, stages }
    })
  })
}
