/** RFC 6749 §3.3: scopes are words of printable ASCII without `"` and `\`, one space between them. */
const scopeShape = /^[!#-[\]-~]+(?: [!#-[\]-~]+)*$/
const maxScopeChars = 2000

/** The scopes of a parameter or a claim, each once, in their order; undefined for what is no list of scopes. */
export const readScopes = (text: unknown): readonly string[] | undefined =>
  typeof text === 'string' && text.length <= maxScopeChars && scopeShape.test(text)
    ? [...new Set(text.split(' '))]
    : text === ''
      ? []
      : undefined

export const isWithin = (scopes: readonly string[], allowed: readonly string[]): boolean =>
  scopes.every((scope) => allowed.includes(scope))
