import { hopByHopNames, reservedNames, reservedPrefixes, singleNames } from './reserved-headers.ts'

/** What the gate does with a header. */
export type HeaderUse =
  | 'keep'
  /** Kept; once, and ASCII. */
  | 'single'
  /** Removed; may still come only once. */
  | 'drop-single'
  | 'drop'
  | 'refuse'
  // Those that the gate reads itself.
  | 'host'
  | 'connection'
  | 'content-length'
  | 'cookie'
  | 'expect'
  | 'transfer-encoding'
  | 'upgrade'

export type HeaderEntry = {
  /** Lower-case. */
  readonly name: string
  readonly use: HeaderUse
  /** A caller may not have it removed by naming it in Connection. */
  readonly isProtected: boolean
}

export const unusualNameModes = ['refuse', 'drop', 'allow'] as const

export type HeaderTableOptions = {
  /** Headers whose names have more than letters, digits and `-` in them. */
  readonly unusualNames: (typeof unusualNameModes)[number]
  /** Removed besides those of `reserved-headers.ts`; lower-case. */
  readonly reservedPrefixes: readonly string[]
  /** Headers that a policy reads, lower-case: once, and ASCII. */
  readonly singleNames: readonly string[]
}

/** Often seen; they only stand here so that most names are found without lower-casing and hashing. */
const commonNames = [
  'accept',
  'accept-encoding',
  'accept-language',
  'baggage',
  'cache-control',
  'dnt',
  'if-modified-since',
  'if-none-match',
  'idempotency-key',
  'pragma',
  'priority',
  'range',
  'referer',
  'sec-ch-ua',
  'sec-ch-ua-mobile',
  'sec-ch-ua-platform',
  'sec-fetch-dest',
  'sec-fetch-mode',
  'sec-fetch-site',
  'sec-fetch-user',
  'traceparent',
  'tracestate',
  'upgrade-insecure-requests',
  'user-agent',
  'x-api-key',
  'x-request-id',
  'x-requested-with',
]

const readByGate: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'content-length',
  'cookie',
  'expect',
  'transfer-encoding',
  'upgrade',
])

/**
 * Makes the function that says what to do with a header of a request, by the name as it was sent.
 *
 * Looking up by length among the usual spellings takes half the time of lower-casing each name and asking a Map.
 */
export const headerTable = (options: HeaderTableOptions): ((sent: string) => HeaderEntry) => {
  const reserved = beginsWithAny([...reservedPrefixes, ...options.reservedPrefixes])
  const isReserved = (name: string) => reserved.test(name)
  // What is reserved stays so, even if a policy asks for it.
  const known = knownEntries(options.singleNames.filter((name) => !isReserved(name)))
  const bySpelling = spellingsByLength(known.values())

  const unusual = (name: string): HeaderEntry => {
    if (name === '__proto__') return { name, use: 'refuse', isProtected: true }
    if (options.unusualNames !== 'allow')
      return { name, use: options.unusualNames, isProtected: false }
    // To the service it may be the same as its plain spelling: whatever is special under that is not let through.
    const plain = name.replace(aliasCharacters, '-')
    const isSpecial = isReserved(plain) || (known.get(plain)?.use ?? 'keep') !== 'keep'
    const use = plain !== name && isSpecial ? 'drop' : 'keep'
    return { name, use, isProtected: use === 'drop' }
  }

  const seldom = (sent: string): HeaderEntry => {
    const name = sent.toLowerCase()
    const entry = known.get(name)
    if (entry !== undefined) return entry
    if (unusualCharacter.test(name)) return unusual(name)
    return isReserved(name)
      ? { name, use: 'drop-single', isProtected: true }
      : { name, use: 'keep', isProtected: false }
  }

  return (sent) => {
    const spellings = bySpelling[sent.length]
    if (spellings !== undefined)
      for (const spelling of spellings) if (spelling.sent === sent) return spelling.entry
    return seldom(sent)
  }
}

/** One expression for all: names of one's own are the rule among `x-` headers, and each is asked. */
const beginsWithAny = (prefixes: readonly string[]): RegExp =>
  new RegExp(`^(?:${prefixes.map((prefix) => RegExp.escape(prefix)).join('|')})`)

const unusualCharacter = /[^a-z0-9-]/
const aliasCharacters = /[._]/g

const knownEntries = (readByPolicy: readonly string[]): ReadonlyMap<string, HeaderEntry> => {
  const known = new Map<string, HeaderEntry>()
  const add = (name: string, use: HeaderUse, isProtected: boolean) =>
    known.set(name, { name, use: readByGate.has(name) ? (name as HeaderUse) : use, isProtected })
  for (const name of commonNames) add(name, 'keep', false)
  for (const name of [...singleNames, ...readByPolicy]) add(name, 'single', true)
  for (const name of hopByHopNames) add(name, 'drop', false)
  for (const name of ['proxy-authorization', 'transfer-encoding', 'expect'])
    add(name, 'drop-single', true)
  for (const name of reservedNames) add(name, name === 'via' ? 'drop' : 'drop-single', true)
  return known
}

type Spelling = { readonly sent: string; readonly entry: HeaderEntry }

/** `user-agent` and `User-Agent`, in an array by their length. */
const spellingsByLength = (entries: Iterable<HeaderEntry>): readonly Spelling[][] => {
  const table: Spelling[][] = []
  for (const entry of entries) {
    const { name } = entry
    const capitalised = name.replace(/(?:^|-)[a-z]/g, (start) => start.toUpperCase())
    while (table.length <= name.length) table.push([])
    table[name.length]?.push({ sent: capitalised, entry }, { sent: name, entry })
  }
  return table
}
