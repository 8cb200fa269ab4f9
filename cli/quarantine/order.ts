import { hostname, userInfo } from 'node:os'

/** Options of `quarantine add`, as they were typed. */
export type AddFlags = {
  readonly address?: string
  readonly route?: string
  readonly 'client-certificate'?: string
  readonly issuer?: string
  readonly subject?: string
  readonly 'spiffe-id'?: string
  readonly jti?: string
  readonly kid?: string
  readonly reason?: string
  readonly actor?: string
  readonly for?: string
  readonly until?: string
  readonly 'issued-before'?: string
}

/** What each option is called in an order. `issuer` stands beside some and for itself. */
const fieldOf = {
  address: 'network',
  route: 'route',
  'client-certificate': 'sha256',
  subject: 'subject',
  'spiffe-id': 'spiffeId',
  jti: 'jti',
  kid: 'kid',
} as const

type Named = keyof typeof fieldOf
const ofAnIssuer: readonly Named[] = ['subject', 'jti', 'kid']
const secondsIn = { s: 1, m: 60, h: 3600, d: 86_400 } as const

/** The body of an order to cut off; or what is wrong with what was typed, as a sentence. */
export const orderOf = (flags: AddFlags): object | string => {
  const by = selectorOf(flags)
  if (typeof by === 'string') return by
  if (flags.reason === undefined) return 'Say why, with --reason.'
  if (flags.for !== undefined && flags.until !== undefined)
    return '--for and --until exclude each other.'
  const forSeconds = flags.for === undefined ? undefined : secondsOf(flags.for)
  if (Number.isNaN(forSeconds))
    return `--for ${flags.for} is not a time such as 90s, 30m, 2h or 7d.`
  return {
    by,
    reason: flags.reason,
    actor: flags.actor ?? userHere(),
    ...(forSeconds === undefined ? {} : { forSeconds }),
    ...(flags.until === undefined ? {} : { expiresAt: flags.until }),
    ...(flags['issued-before'] === undefined ? {} : { notBefore: flags['issued-before'] }),
  }
}

const selectorOf = (flags: AddFlags): object | string => {
  const named = (Object.keys(fieldOf) as Named[]).filter((name) => flags[name] !== undefined)
  const { issuer } = flags
  const [name, other] = named
  if (other !== undefined)
    return `--${name} and --${other} exclude each other: one entry cuts off one thing.`
  if (name === undefined)
    return issuer === undefined
      ? 'Name whom or what to cut off: --subject, --address, --route …'
      : { kind: 'issuer', issuer }
  if (issuer !== undefined && !ofAnIssuer.includes(name))
    return `--issuer does not go with --${name}.`
  if (name === 'subject' && issuer === undefined)
    return 'A subject is one of an issuer: name it with --issuer.'
  return {
    kind: name,
    [fieldOf[name]]: flags[name],
    ...(issuer === undefined ? {} : { issuer }),
  }
}

const secondsOf = (text: string): number => {
  const [, count, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? []
  return unit === undefined ? Number.NaN : Number(count) * secondsIn[unit as keyof typeof secondsIn]
}

/** Who gives an order, unless it says otherwise. */
export const userHere = (): string => `${userInfo().username}@${hostname()}`
