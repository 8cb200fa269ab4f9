import { explain } from './explain.ts'
import { quote, type Finding } from './faults.ts'
import { schemaCheck, type JsonSchema, type Violation } from './schema-check.ts'

/** A file that a configuration names, or a secret that stands in one. */
export type NamedFile = {
  readonly pointer: string
  readonly access: NonNullable<JsonSchema['access']>
  readonly holds: JsonSchema['holds']
}

export type Shape = {
  readonly findings: readonly Finding[]
  readonly files: readonly NamedFile[]
  /** Pointers to the `{ file: PATH }` and `{ env: NAME }` mappings that become secrets. */
  readonly secrets: readonly string[]
}

/** A value as it was written, where it has variables: what they hold is not shown. */
type Written = (pointer: string) => string | undefined

/**
 * Checks a configuration against its schema, fills in defaults (in place), and notes which of its values are files and
 * secrets.
 */
export const validate = (schema: object, config: unknown, written: Written): Shape => {
  const files: NamedFile[] = []
  const secrets: string[] = []
  const violations: Violation[] = []
  schemaCheck(schema)(config, '', {
    violated: (violation) => void violations.push(violation),
    file: (pointer, { access = 'read', holds }) => void files.push({ pointer, access, holds }),
    secret: (pointer) => void secrets.push(pointer),
    show: (pointer, value) => quote(written(pointer) ?? value),
  })
  return { files, secrets, findings: explain(violations, config, written) }
}
