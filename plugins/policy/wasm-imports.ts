const importSection = 2
const memoryKind = 2

/**
 * The pages of 64 KiB that a module wants its imported memory to begin with. The JavaScript API shows that a memory is
 * imported but not how large; with less the module cannot be instantiated.
 *
 * @returns undefined if the module imports no memory.
 * @throws RangeError if the module ends too early.
 * @see https://webassembly.github.io/spec/core/binary/modules.html#import-section
 */
export const importedMemoryPages = (module: Buffer): number | undefined => {
  const reader = readerOf(module, 8) // after the magic number and the version
  while (!reader.isAtEnd()) {
    const id = reader.byte()
    const size = reader.number()
    if (id === importSection) return pagesIn(reader)
    reader.skip(size)
  }
  return undefined
}

type Reader = ReturnType<typeof readerOf>

const pagesIn = (reader: Reader): number | undefined => {
  for (let left = reader.number(); left > 0; left--) {
    reader.skip(reader.number()) // module name
    reader.skip(reader.number()) // field name
    const kind = reader.byte()
    if (kind === memoryKind) {
      reader.byte() // flags
      return reader.number()
    }
    skipDescription(reader, kind)
  }
  return undefined
}

const skipDescription = (reader: Reader, kind: number): void => {
  switch (kind) {
    case 0: // function: index of its type
      reader.number()
      return
    case 1: // table: element type, limits
      reader.byte()
      if ((reader.byte() & 1) === 1) reader.number()
      reader.number()
      return
    case 3: // global: type, mutability
      reader.skip(2)
      return
    default:
      throw new RangeError(`an import of unknown kind ${kind}`)
  }
}

const readerOf = (bytes: Buffer, start: number) => {
  let at = start
  const byte = (): number => {
    const value = bytes[at++]
    if (value === undefined) throw new RangeError('the module ends too early')
    return value
  }
  return {
    byte,
    isAtEnd: () => at >= bytes.length,
    skip: (count: number) => {
      at += count
      if (at > bytes.length) throw new RangeError('the module ends too early')
    },
    /** An unsigned LEB128 of at most 32 bits. */
    number: (): number => {
      let value = 0
      for (let shift = 0; shift < 35; shift += 7) {
        const next = byte()
        value += (next & 0x7f) * 2 ** shift
        if (next < 0x80) return value
      }
      throw new RangeError('a number in the module is too long')
    },
  }
}
