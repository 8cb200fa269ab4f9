import { globSync, statSync } from 'node:fs'

/** A folder with more in it is looked at in part. */
const maxEntries = 10_000

/**
 * What changes when one of some files does, without reading them: which file it is, its size and when it was written. A
 * folder stands for all in it, a path with `*`, `?` or `[` for all that fit it. A missing one is a state like another.
 *
 * Looking again and again is sure where being told is not: in Kubernetes a mounted file changes by a symbolic link that is
 * swapped, and network file systems tell nothing at all.
 */
export const fileStamp = (paths: readonly string[]): string =>
  paths.flatMap((path) => filesOf(path).map(stampOf)).join('\n')

const filesOf = (path: string): readonly string[] => {
  if (/[*?[]/.test(path)) return globSync(path).toSorted().slice(0, maxEntries)
  if (statOf(path)?.isDirectory() !== true) return [path]
  return globSync('**/*', { cwd: path })
    .toSorted()
    .slice(0, maxEntries)
    .map((inner) => `${path}/${inner}`)
}

const stampOf = (path: string): string => {
  const found = statOf(path)
  return found ? `${path} ${found.ino} ${found.size} ${found.mtimeMs}` : `${path} missing`
}

const statOf = (path: string) => {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined // a part of the path is a file, or may not be entered
  }
}
