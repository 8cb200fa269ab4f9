import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const binary = here('./node_modules/@jazzer.js/fuzzer/prebuilds/fuzzer-linux-x64.node')
const library = here('./node_modules/older-glibc.so')

/** What the binary was linked with, and Debian 12 does not have. */
const newerVersions = ['GLIBC_2.38', 'GLIBCXX_3.4.32']

/**
 * The ready-made binary of Jazzer.js 4 is linked with glibc 2.38 for the sake of three functions. On an older system
 * those come from a library of our own, and the binary is told that it can do without the versions.
 *
 * @returns What the fuzzer's environment needs.
 */
export const loadable = (): Readonly<Record<string, string>> => {
  if (process.platform !== 'linux' || process.arch !== 'x64' || !isOlder()) return {}
  execFileSync('cc', [
    '-shared',
    '-nostdlib',
    '-fPIC',
    '-O1',
    '-o',
    library,
    here('./older-glibc.c'),
  ])
  const bytes = readFileSync(binary)
  if (makeOptional(bytes, newerVersions)) writeFileSync(binary, bytes)
  return { LD_PRELOAD: library }
}

const isOlder = (): boolean => {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } }
  const [, minor = 99] = (header.glibcVersionRuntime ?? '').split('.').map(Number)
  return minor < 38
}

const sectionOfNeededVersions = 0x6ffffffe
const weak = 2

/** Sets the weak flag of needed versions (ELF gABI, "Symbol Versioning"). @returns Whether anything was to be set. */
const makeOptional = (elf: Buffer, names: readonly string[]): boolean => {
  const sections = Number(elf.readBigUInt64LE(0x28))
  const count = elf.readUInt16LE(0x3c)
  const headerOf = (index: number) => {
    const at = sections + index * 64
    return {
      type: elf.readUInt32LE(at + 4),
      offset: Number(elf.readBigUInt64LE(at + 24)),
      link: elf.readUInt32LE(at + 40),
    }
  }
  const found = Array.from({ length: count }, (_, i) => headerOf(i)).find(
    ({ type }) => type === sectionOfNeededVersions,
  )
  if (!found) return false
  const strings = headerOf(found.link).offset
  let changed = false
  for (let at = found.offset, next = 1; next !== 0; at += next) {
    next = elf.readUInt32LE(at + 12)
    for (let aux = at + elf.readUInt32LE(at + 8), step = 1; step !== 0; aux += step) {
      step = elf.readUInt32LE(aux + 12)
      const name = strings + elf.readUInt32LE(aux + 8)
      if (!names.includes(elf.toString('latin1', name, elf.indexOf(0, name)))) continue
      const flags = elf.readUInt16LE(aux + 4)
      if ((flags & weak) !== 0) continue
      elf.writeUInt16LE(flags | weak, aux + 4)
      changed = true
    }
  }
  return changed
}
