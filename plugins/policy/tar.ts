const blockBytes = 512

export type TarLimits = { readonly maxMembers: number; readonly maxNameBytes: number }

/**
 * Reads the members of a tar archive: plain files only, each name once. Links, folders and extended headers have no
 * place in a bundle, so nothing of them is interpreted.
 *
 * @returns Contents by name, without the leading slash that OPA writes.
 * @throws Error that says what is wrong, for the caller to add the name of the file.
 */
export const readTar = (archive: Buffer, limits: TarLimits): ReadonlyMap<string, Buffer> => {
  const members = new Map<string, Buffer>()
  let at = 0
  while (at + blockBytes <= archive.length) {
    const header = archive.subarray(at, at + blockBytes)
    if (header.every((byte) => byte === 0)) return members
    const { name, size } = readHeader(header)
    if (name.length > limits.maxNameBytes) throw new Error('a name in it is too long')
    if (members.has(name)) throw new Error(`${JSON.stringify(name)} is in it twice`)
    if (members.size >= limits.maxMembers) throw new Error('it has too many members')
    const begin = at + blockBytes
    if (begin + size > archive.length) throw new Error(`${JSON.stringify(name)} is cut off`)
    members.set(name, archive.subarray(begin, begin + size))
    at = begin + Math.ceil(size / blockBytes) * blockBytes
  }
  throw new Error('its end is missing')
}

/** A header of POSIX 1003.1-1990 or ustar. */
const readHeader = (header: Buffer): { readonly name: string; readonly size: number } => {
  if (octal(header, 148, 8) !== checksum(header)) throw new Error('a header in it is damaged')
  const prefix = header.toString('latin1', 257, 262) === 'ustar' ? text(header, 345, 155) : ''
  const name = (prefix === '' ? '' : `${prefix}/`) + text(header, 0, 100)
  const type = String.fromCharCode(header[156] ?? 0)
  if (type !== '0' && type !== '\0')
    throw new Error(`${JSON.stringify(name)} is not a plain file (type ${JSON.stringify(type)})`)
  return { name: plainName(name), size: octal(header, 124, 12) }
}

const plainName = (name: string): string => {
  const relative = name.startsWith('/') ? name.slice(1) : name
  const isPlain = relative
    .split('/')
    .every((part) => part !== '' && part !== '.' && part !== '..' && /^[\w.@+ -]+$/.test(part))
  if (!isPlain) throw new Error(`it has a member with the name ${JSON.stringify(name)}`)
  return relative
}

const text = (header: Buffer, offset: number, length: number): string => {
  const field = header.subarray(offset, offset + length)
  const end = field.indexOf(0)
  return field.toString('latin1', 0, end < 0 ? length : end)
}

const octal = (header: Buffer, offset: number, length: number): number => {
  const digits = text(header, offset, length).trim()
  if (!/^[0-7]{1,11}$/.test(digits)) throw new Error('a header in it is damaged')
  return Number.parseInt(digits, 8)
}

/** The sum of all bytes, the checksum itself taken as blanks. */
const checksum = (header: Buffer): number => {
  let sum = 8 * 0x20
  for (let i = 0; i < blockBytes; i++) if (i < 148 || i >= 156) sum += header[i] ?? 0
  return sum
}
