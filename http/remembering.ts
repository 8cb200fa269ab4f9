const maxRemembered = 512
const maxRememberedLength = 256

/** Remembers the first few hundred results, by what they were made from; never forgets, so a flood of new ones is only slower. */
export const remembering = (make: (text: string) => string): ((text: string) => string) => {
  const known = new Map<string, string>()
  return (text) => {
    const before = known.get(text)
    if (before !== undefined) return before
    const made = make(text)
    if (known.size < maxRemembered && text.length <= maxRememberedLength) known.set(text, made)
    return made
  }
}
