/** A collection of a request: names and values side by side, in order of arrival, duplicates kept. */
export type Entries = {
  readonly names: readonly string[]
  readonly values: readonly string[]
  /** The names in lower case, by which selectors look. */
  readonly keys: readonly string[]
}

export const noEntries: Entries = Object.freeze({ names: [], values: [], keys: [] })

export const makeEntries = (pairs: readonly (readonly [string, string])[]): Entries =>
  pairs.length === 0
    ? noEntries
    : entriesOf(
        pairs.map(([name]) => name),
        pairs.map(([, value]) => value),
      )

export const entriesOf = (names: readonly string[], values: readonly string[]): Entries => ({
  names,
  values,
  keys: names.map(lowerKey),
})

/** The names as values, as ARGS_NAMES and its like have them. */
export const namesOf = (entries: Entries): Entries =>
  entries.names.length === 0 ? noEntries : { ...entries, values: entries.names }

export const joinEntries = (one: Entries, two: Entries): Entries => {
  if (two.names.length === 0) return one
  if (one.names.length === 0) return two
  return {
    names: [...one.names, ...two.names],
    values: [...one.values, ...two.values],
    keys: [...one.keys, ...two.keys],
  }
}

/** Only ASCII: `toLowerCase` would also change Latin-1 letters, which here are bytes of anything. */
export const lowerKey = (name: string): string => {
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i)
    if (code >= 65 && code <= 90) return name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
  }
  return name
}

/** From name, value, name, value … */
export const entriesOfFlat = (flat: readonly string[]): Entries => {
  const names: string[] = []
  const values: string[] = []
  for (let i = 0; i + 1 < flat.length; i += 2) {
    names.push(flat[i] ?? '')
    values.push(flat[i + 1] ?? '')
  }
  return entriesOf(names, values)
}

/** The same entries, longer names and values cut. */
export const cutValues = (entries: Entries, maxBytes: number): Entries => {
  const isLong = (text: string) => text.length > maxBytes
  const cut = (text: string) => text.slice(0, maxBytes)
  const { names, values } = entries
  return names.some(isLong) || values.some(isLong)
    ? entriesOf(names.map(cut), values.map(cut))
    : entries
}
