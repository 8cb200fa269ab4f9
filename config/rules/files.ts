import { accessSync, constants, statSync, type Stats } from 'node:fs'
import { dirname } from 'node:path'
import { quote, type Complaint, type Finding } from '../faults.ts'
import type { ConfigFile, Rule } from './rule.ts'

/** What is to be read is there and may be read; what is to be written has a place to be. */
export const files: Rule = (subject) =>
  subject.files.flatMap((file): Finding[] => {
    const complaint = trouble(file)
    if (complaint === undefined) return []
    const message = `${quote(file.path)} ${complaint.message}`
    return [{ pointer: file.pointer, at: 'value', message, remedy: complaint.remedy }]
  })

const trouble = ({ path, access }: ConfigFile): Complaint | undefined => {
  const found = statOf(path)
  switch (access) {
    case 'read':
      return found === undefined
        ? { message: 'does not exist', remedy: 'create it, or name another file' }
        : unreadable(path, found)
    case 'later':
      return found === undefined ? undefined : unreadable(path, found)
    case 'unchecked':
      return undefined
    case 'write':
      if (found?.isDirectory() === true) return { message: 'is a directory', remedy: 'name a file' }
      return unwritable(found === undefined ? dirname(path) : path)
    case 'directory':
      if (found?.isDirectory() === false)
        return { message: 'is not a directory', remedy: 'name a directory' }
      return unwritable(found === undefined ? dirname(path) : path)
    default:
      return access satisfies never
  }
}

const unreadable = (path: string, found: Stats): Complaint | undefined => {
  if (found.isDirectory()) return { message: 'is a directory', remedy: 'name a file' }
  return may(path, constants.R_OK)
    ? undefined
    : { message: 'cannot be read', remedy: 'give this user the right to read it' }
}

const unwritable = (path: string): Complaint | undefined => {
  if (statOf(path) === undefined)
    return {
      message: `would be in ${quote(path)}, which does not exist`,
      remedy: 'create that directory',
    }
  return may(path, constants.W_OK)
    ? undefined
    : { message: 'cannot be written', remedy: `give this user the right to write ${quote(path)}` }
}

const statOf = (path: string): Stats | undefined => {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined // a part of the path is a file, or may not be entered
  }
}

const may = (path: string, mode: number): boolean => {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}
