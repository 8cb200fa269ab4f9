/** A token of TypeScript, as far as imports need it: comments, templates and regular expressions are left out. */
export type Token = { readonly kind: 'word' | 'string' | 'mark'; readonly text: string }

export type Import = {
  readonly specifier: string
  /** `import type`: gone when it runs. */
  readonly isType: boolean
  /** `import()`. */
  readonly isLazy: boolean
}

// After these a `/` divides; after anything else it begins a regular expression.
const endsValue = /^(?:[\w$]+|[)\]}])$/
const keywordsBeforeValue = new Set([
  'return',
  'typeof',
  'case',
  'in',
  'of',
  'do',
  'else',
  'void',
  'await',
  'yield',
  'new',
  'delete',
])

/** Splits a source into tokens. It knows enough of the grammar to tell a quote in a comment or an expression from a string. */
export const tokensOf = (source: string): Token[] => {
  const tokens: Token[] = []
  let at = 0

  const string = (quote: string): string => {
    const from = ++at
    while (at < source.length && source[at] !== quote) at += source[at] === '\\' ? 2 : 1
    return source.slice(from, at++)
  }
  const regularExpression = () => {
    let inClass = false
    for (at++; at < source.length && (inClass || source[at] !== '/'); at++) {
      if (source[at] === '\\') at++
      else if (source[at] === '[') inClass = true
      else if (source[at] === ']') inClass = false
    }
    at++
  }
  const template = () => {
    for (at++; at < source.length && source[at] !== '`'; at++) {
      if (source[at] === '\\') at++
      else if (source.startsWith('${', at)) {
        at += 2
        code('}')
        at--
      }
    }
    at++
  }
  /** Reads up to a closing brace of its own level, or to the end. */
  const code = (end?: string) => {
    let depth = 0
    while (at < source.length) {
      const character = source[at] ?? ''
      const last = tokens.at(-1)?.text ?? ''
      if (/\s/.test(character)) at++
      else if (source.startsWith('//', at)) at = endOf('\n')
      else if (source.startsWith('/*', at)) at = endOf('*/')
      else if (character === "'" || character === '"')
        tokens.push({ kind: 'string', text: string(character) })
      else if (character === '`') {
        template()
        tokens.push({ kind: 'mark', text: '`' }, { kind: 'mark', text: ')' })
      } else if (character === '/' && (!endsValue.test(last) || keywordsBeforeValue.has(last))) {
        regularExpression()
        tokens.push({ kind: 'mark', text: ')' })
      } else if (/[\w$]/.test(character)) {
        const [word = ''] = /^[\w$]+/.exec(source.slice(at, at + 200)) ?? []
        tokens.push({ kind: 'word', text: word })
        at += word.length
      } else {
        if (end !== undefined && character === end && depth === 0) {
          at++
          return
        }
        if (character === '{') depth++
        if (character === '}') depth--
        tokens.push({ kind: 'mark', text: character })
        at++
      }
    }
  }
  const endOf = (mark: string): number => {
    const found = source.indexOf(mark, at + 2)
    return found < 0 ? source.length : found + mark.length
  }

  code()
  return tokens
}

/** Every module that a source names, in whatever way. */
export const importsOf = (tokens: readonly Token[]): Import[] =>
  tokens.flatMap((token, i): Import[] => {
    const is = (offset: number, text: string) => {
      const other = tokens[i + offset]
      return other?.kind !== 'string' && other?.text === text
    }
    if (token.kind !== 'word' || is(-1, '.')) return []
    const next = tokens[i + 1]
    if (token.text === 'import' || token.text === 'require') {
      if (is(1, '(')) return named(tokens[i + 2], false, true)
      if (token.text === 'require' || is(1, '.')) return []
      if (next?.kind === 'string') return named(next, false, false)
      return named(sourceAfter(tokens, i + 1), is(1, 'type') && !is(2, 'from'), false)
    }
    if (token.text !== 'export') return []
    const isType = is(1, 'type')
    const open = tokens[i + (isType ? 2 : 1)]
    return open?.text === '*' || open?.text === '{'
      ? named(sourceAfter(tokens, i + 1), isType, false)
      : []
  })

const named = (token: Token | undefined, isType: boolean, isLazy: boolean): Import[] =>
  token?.kind === 'string' ? [{ specifier: token.text, isType, isLazy }] : []

/** The string after the `from` of this statement; an `export { … }` may have none. */
const sourceAfter = (tokens: readonly Token[], start: number): Token | undefined => {
  for (let i = start; i < tokens.length; i++) {
    const { kind, text } = tokens[i] ?? { kind: 'mark', text: '' }
    if (kind === 'word' && text === 'from' && tokens[i + 1]?.kind === 'string') return tokens[i + 1]
    const belongs = kind === 'word' || text === '{' || text === '}' || text === ',' || text === '*'
    if (!belongs || text === 'import' || text === 'export') return undefined
  }
  return undefined
}
