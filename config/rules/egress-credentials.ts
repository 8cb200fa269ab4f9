import { listed, tick, type Finding } from '../faults.ts'
import { nearest } from '../nearest.ts'
import { egressDestinations, type Rule, type Subject } from './rule.ts'

const unsafePointer = '/unsafe/wildcardCredentials'

/** A credential goes only where somebody has proved to be who was named, and is known by its name. */
export const egressCredentials: Rule = (subject) =>
  subject.kind === 'gateway'
    ? [
        ...misplaced(subject),
        ...unusable(subject),
        ...unused(subject),
        ...unknownUnsafe(subject),
        ...warnings(subject),
      ]
    : []

const misplaced = (subject: Subject): Finding[] => {
  const { egressCredentialNames: names, texts } = subject
  const wide = texts(unsafePointer)
  return egressDestinations(subject).flatMap(({ pointer, value }): Finding[] => {
    const { credential, protocol } = value
    if (credential === undefined) return []
    const at = { pointer: `${pointer}/credential`, at: 'value' } as const
    if (names && !names.includes(credential)) return [unknown(at.pointer, credential, names)]
    if (protocol !== 'https' && protocol !== 'tls-inspected')
      return [
        {
          ...at,
          message: `credential ${tick(credential)} cannot go out with \`protocol: ${protocol}\`: only where the gateway makes the TLS has somebody proved who gets it`,
          remedy:
            'write `protocol: https`, and have the workload ask with an http:// or https:// URL; or `tls-inspected`',
        },
      ]
    const pattern = 'hosts' in value ? value.hosts.find((host) => host.includes('*')) : 'networks'
    if (pattern === undefined || wide.includes(credential)) return []
    return [
      {
        ...at,
        message: `credential ${tick(credential)} would go to whoever has a host of ${tick(pattern)}`,
        remedy: `name the hosts, or own up to it with \`unsafe: { wildcardCredentials: [${credential}] }\``,
      },
    ]
  })
}

const unknown = (pointer: string, name: string, names: readonly string[]): Finding => {
  const meant = nearest(name, names)
  return {
    pointer,
    at: 'value',
    message: `there is no credential ${tick(name)}`,
    remedy:
      meant !== undefined
        ? `did you mean ${tick(meant)}?`
        : names.length === 0
          ? 'add it to `egress.credentials`'
          : `add it to \`egress.credentials\`, or use ${listed(names, 'or')}`,
  }
}

const unusable = ({ egressCredentials: all }: Subject): Finding[] =>
  all.flatMap(({ name, pointer, value }): Finding[] =>
    value.kind === 'aws-sigv4' && value.payload === 'unsigned' && value.service !== 's3'
      ? [
          {
            pointer: `${pointer}/payload`,
            at: 'value',
            message: `credential ${tick(name)} leaves bodies unsigned, and ${tick(value.service)} does not take that: only \`s3\` does`,
            remedy: 'take it out, so that bodies are signed',
          },
        ]
      : [],
  )

const unused = (subject: Subject): Finding[] => {
  const used = new Set(egressDestinations(subject).map(({ value }) => value.credential))
  return subject.egressCredentials
    .filter(({ name }) => !used.has(name))
    .map(({ name, pointer }) => ({
      severity: 'warning',
      pointer,
      at: 'key',
      message: `no destination names credential ${tick(name)}`,
      remedy: 'name it as its `credential`, or take it out',
    }))
}

const unknownUnsafe = ({ egressCredentialNames: names, texts }: Subject): Finding[] =>
  texts(unsafePointer).flatMap((name, i) =>
    names === undefined || names.includes(name)
      ? []
      : [unknown(`${unsafePointer}/${i}`, name, names)],
  )

const warnings = ({ texts }: Subject): Finding[] =>
  texts(unsafePointer).map((name, i) => ({
    severity: 'warning',
    pointer: `${unsafePointer}/${i}`,
    at: 'value',
    message: `credential ${tick(name)} goes to whoever has a host that a wildcard or network stands for`,
    remedy: 'name the hosts',
  }))
