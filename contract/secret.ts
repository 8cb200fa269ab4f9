import { inspect } from 'node:util'

/** A value that no log, error or JSON can print; `reveal` is the one way out. */
export type Secret<T> = { readonly reveal: () => T; readonly toJSON: () => string }

/** Wraps a value so that printing it, however indirectly, gives `[secret]`. */
export const secret = <T>(value: T): Secret<T> => {
  const hidden = () => '[secret]'
  return Object.freeze({
    reveal: () => value,
    toJSON: hidden,
    toString: hidden,
    [inspect.custom]: hidden,
  })
}
