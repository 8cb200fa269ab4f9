import { inspect } from 'node:util'

/** A value that no log, error or JSON can print; `reveal` is the one way out. */
export type Secret<T> = { readonly reveal: () => T; readonly toJSON: () => string }

const hidden = () => '[secret]'

/** A class for its private field: objects with functions of their own, frozen, cost ten times as much, and each request makes one. */
class Hidden<T> {
  readonly #value: T
  constructor(value: T) {
    this.#value = value
  }
  reveal(): T {
    return this.#value
  }
  toJSON(): string {
    return hidden()
  }
  toString(): string {
    return hidden()
  }
  [inspect.custom](): string {
    return hidden()
  }
}
Object.freeze(Hidden.prototype)

/** Wraps a value so that printing it, however indirectly, gives `[secret]`. */
export const secret = <T>(value: T): Secret<T> => new Hidden(value)

/**
 * JSON Schema of a secret in a configuration: `{ file: PATH }` or `{ env: NAME }`. What `config/load.ts` hands out in its place
 * is a `Secret` of what the file or variable holds, so options give it that type: `Type.Unsafe<Secret<string>>(secretFileSchema('…'))`.
 */
export const secretFileSchema = (description: string) => ({
  type: 'object',
  properties: {
    file: {
      type: 'string',
      minLength: 1,
      format: 'file',
      description: 'File that holds it. Relative to the file that names it.',
    },
    env: {
      type: 'string',
      pattern: '^[A-Za-z_][A-Za-z0-9_]*$',
      expects: 'the name of an environment variable',
      description: 'Environment variable that holds it, instead of a file.',
    },
  },
  minProperties: 1,
  maxProperties: 1,
  additionalProperties: false,
  secret: true,
  description,
})
