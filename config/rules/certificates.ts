import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { isIP } from 'node:net'
import { quote, tick, type Finding } from '../faults.ts'
import { parentOf } from '../pointer.ts'
import type { ConfigFile, Rule, Subject } from './rule.ts'

const maxPemBytes = 1_048_576

/** Certificates, keys and JSON are what they should be, and each key belongs to its certificate. */
export const certificates: Rule = (subject) => {
  const found: Finding[] = []
  const leaves = new Map<string, X509Certificate>()
  const complain = (file: ConfigFile, message: string, remedy: string) =>
    found.push({
      pointer: file.pointer,
      at: 'value',
      message: `${quote(file.path)} ${message}`,
      remedy,
    })

  for (const file of subject.files.filter(({ holds }) => holds === 'certificates')) {
    const text = textOf(file)
    if (text === undefined) continue
    const leaf = firstCertificate(text)
    if (leaf === undefined)
      complain(file, 'holds no certificate that can be read', 'give it PEM certificates')
    else if (file.pointer.endsWith('/certificateFile')) leaves.set(parentOf(file.pointer), leaf)
  }
  for (const file of subject.files.filter(({ holds }) => holds === 'private-key')) {
    const text = textOf(file)
    const leaf = leaves.get(parentOf(file.pointer))
    if (text === undefined) continue
    const matches = keyMatches(text, leaf)
    if (matches === undefined)
      complain(
        file,
        'holds no private key that can be read',
        'give it a PEM key without a passphrase',
      )
    else if (!matches)
      complain(file, 'is not the key of its `certificateFile`', 'name the key that belongs to it')
  }
  for (const file of subject.files.filter(({ holds }) => holds === 'json')) {
    const text = textOf(file)
    if (text !== undefined && !isJson(text)) complain(file, 'is not JSON', 'mend it')
  }
  return [...found, ...unnamedHosts(subject, leaves)]
}

/** Undefined for what cannot be read: `files.ts` says so. */
const textOf = ({ path }: ConfigFile): string | undefined => {
  try {
    const found = statSync(path)
    if (!found.isFile()) return undefined
    return found.size > maxPemBytes ? '' : readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

const firstCertificate = (pem: string): X509Certificate | undefined => {
  try {
    return new X509Certificate(pem)
  } catch {
    return undefined
  }
}

/** Undefined when there is no key. */
const keyMatches = (pem: string, leaf: X509Certificate | undefined): boolean | undefined => {
  try {
    const key = createPrivateKey(pem)
    return leaf === undefined || leaf.checkPrivateKey(key)
  } catch {
    return undefined
  }
}

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** Warns of hosts that are served with a certificate that does not name them: callers would refuse it. */
const unnamedHosts = (
  subject: Subject,
  leaves: ReadonlyMap<string, X509Certificate>,
): Finding[] => {
  const served = [...leaves]
    .filter(([pointer]) => pointer.startsWith('/listeners/'))
    .map(([, leaf]) => leaf)
  if (served.length === 0) return []
  const seen = new Set<string>()
  return subject.routes.flatMap(({ pointer, value }) =>
    value.match.hosts.flatMap((host, i): Finding[] => {
      if (seen.has(host) || served.some((leaf) => names(leaf, host))) return []
      seen.add(host)
      return [
        {
          severity: 'warning',
          pointer: `${pointer}/match/hosts/${i}`,
          at: 'value',
          message: `no certificate of the listener names ${tick(host)}, so callers will refuse it`,
          remedy: 'add a certificate that does',
        },
      ]
    }),
  )
}

const names = (leaf: X509Certificate, host: string): boolean => {
  const name = host.replace(/^\*\./, 'any.').replace(/^\[(.*)\]$/, '$1')
  return (isIP(name) === 0 ? leaf.checkHost(name) : leaf.checkIP(name)) !== undefined
}
