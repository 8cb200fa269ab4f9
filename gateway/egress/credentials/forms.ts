/**
 * What a credential looks like in an answer that repeats the request, as the common ways to write a text out leave it: for
 * URLs, JSON, HTML, in base64, hexadecimal, or two bytes a letter. As bytes, read as latin1.
 */
export const formsOf = (value: string): readonly string[] => {
  const bytes = Buffer.from(value, 'latin1')
  const json = JSON.stringify(value).slice(1, -1)
  const forUrls = [encodeURIComponent(value), everywhere(/[^A-Za-z0-9_.~-]/g, percent)(value)]
  const base64 = [0, 1, 2].map((offset) => base64Within(bytes, offset))
  return [
    value,
    ...forUrls,
    ...forUrls.map((text) => text.replace(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase())),
    new URLSearchParams([['', value]]).toString().slice(1), // as in a form
    json,
    json.replaceAll('/', '\\/'), // PHP
    everywhere(/["&'+<>`\\]/g, (code) => `\\u${code.toString(16).padStart(4, '0')}`)(value),
    everywhere(/["&'+<>`\\]/g, (code) => `\\u${hex(code).padStart(4, '0')}`)(value), // .NET
    everywhere(/[&<>"']/g, (code) => named[code] ?? `&#${code};`)(value),
    everywhere(/[&<>"'`=/]/g, (code) => named[code] ?? `&#x${hex(code)};`)(value), // Mustache
    ...base64,
    ...base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    bytes.toString('latin1').split('').join('\0'), // UTF-16, of either order
  ]
}

const named: Readonly<Record<number, string>> = {
  38: '&amp;',
  60: '&lt;',
  62: '&gt;',
  34: '&quot;',
}

const hex = (code: number): string => code.toString(16).toUpperCase()
const percent = (code: number): string => `%${hex(code).padStart(2, '0')}`

const everywhere =
  (characters: RegExp, write: (code: number) => string) =>
  (text: string): string =>
    text.replace(characters, (character) => write(character.charCodeAt(0)))

/** Those digits that depend on nothing else, where it begins so many bytes behind a multiple of three: `Basic`, `user:` … */
const base64Within = (bytes: Buffer, offset: number): string => {
  const digits = Buffer.concat([Buffer.alloc(offset), bytes])
    .toString('base64')
    .replace(/=+$/, '')
  const whole = Math.floor(((offset + bytes.length) * 8) / 6)
  return digits.slice(offset === 0 ? 0 : offset + 1, whole)
}
