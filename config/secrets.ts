import { secret } from '#contract/secret'
import type { Finding } from './faults.ts'
import { readBounded } from './read-bounded.ts'
import type { Environment } from './interpolate.ts'
import { replaceAt, valueAt } from './pointer.ts'

const maxSecretBytes = 65_536

/**
 * Puts `Secret`s where `{ file: PATH }` or `{ env: NAME }` stood. One line end at the end of a file is not part of the secret.
 *
 * @returns What could not be read.
 */
export const revealSecrets = async (
  config: object,
  pointers: readonly string[],
  environment: Environment,
): Promise<readonly Finding[]> => {
  const found: Finding[] = []
  for (const pointer of pointers) {
    const variable = valueAt(config, `${pointer}/env`)
    if (typeof variable === 'string') {
      const text = Object.hasOwn(environment, variable) ? environment[variable] : undefined
      if (text) replaceAt(config, pointer, secret(text))
      else
        found.push({
          pointer: `${pointer}/env`,
          at: 'value',
          message: `the environment variable \`${variable}\` is ${text === undefined ? 'not set' : 'empty'}`,
          remedy: 'set it, or write `{ file: PATH }`',
        })
      continue
    }
    const complain = (message: string, remedy: string) =>
      found.push({ pointer: `${pointer}/file`, at: 'value', message, remedy })
    const path = String(valueAt(config, `${pointer}/file`))
    try {
      const bytes = await readBounded(path, maxSecretBytes)
      const text = bytes?.toString('utf8').replace(/\r?\n$/, '')
      if (text === undefined)
        complain('this file is too large for a secret', `use up to ${maxSecretBytes} bytes`)
      else if (text === '') complain('this file is empty', 'put the secret into it')
      else replaceAt(config, pointer, secret(text))
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === undefined) throw cause
      complain('this file went away while it was read', 'try again')
    }
  }
  return found
}
