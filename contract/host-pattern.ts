const labelPattern = /^[a-z0-9_*](?:[a-z0-9_*-]{0,61}[a-z0-9_*])?$/
const maxHostChars = 253

/** What is wrong with a pattern, to complete a sentence that begins with it; undefined if nothing is. */
export const faultOfHostPattern = (pattern: string): string | undefined => {
  if (/[^\x20-\x7e]/.test(pattern))
    return `is not written in ASCII; write ${JSON.stringify(asciiForm(pattern))}`
  if (/[A-Z]/.test(pattern)) return 'has capitals; write it in lower case'
  if (pattern.endsWith('.') && pattern.length > 2)
    return 'ends in a dot; take the dot at the end out'
  if (/:\d+$/.test(pattern)) return 'has a port; name it in `ports`'
  const labels = pattern.split('.')
  const names = labels[0] === '**' ? labels.slice(1) : labels
  if (/^[*.]*$/.test(pattern)) return 'stands for everything; name a domain'
  if (pattern.length > maxHostChars || !names.every((label) => labelPattern.test(label)))
    return 'is not a host name'
  if (names.some((label) => label.includes('**')))
    return 'has `**` where it cannot stand: only as its first label'
  if (isNumeric(names.at(-1) ?? '')) return 'is an address; name it in `networks`'
  if (!pattern.includes('*')) return undefined
  if (names.slice(-2).some((label) => label.includes('*')) || names.length < 2)
    return 'is a wildcard for a whole top-level domain; name at least two labels at its end'
  if (names.filter((label) => label === '*').length > 1)
    return 'has more than one label that is `*`; write `**.` for several'
  if (names.some((label) => (label.match(/\*/g) ?? []).length > 2))
    return 'has more than two `*` in one label'
  return undefined
}

/** The URL parser takes such a last label for a part of an address (WHATWG URL §3.5, "ends in a number"). */
const isNumeric = (label: string): boolean => /^(?:\d+|0x[0-9a-f]*)$/.test(label)

/** The URL parser knows IDNA; the wildcards go past it as they are. */
const asciiForm = (pattern: string): string =>
  pattern
    .split('.')
    .map((label) => {
      if (label.includes('*')) return label.toLowerCase()
      return URL.parse(`http://${label}`)?.hostname ?? label
    })
    .join('.')
