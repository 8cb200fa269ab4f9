import { Resolver } from 'node:dns/promises'
import { underWay } from '#contract/under-way'

/** Asks a list in the DNS: the address that it answers with, undefined if it names nobody or does not answer. */
export type AskBlockList = (name: string) => Promise<string | undefined>

const timeoutMs = 1000
/** Callers choose what is asked about, so both are bounded; beyond them nobody is asked, and nobody named. */
const maxUnderWay = 100
const maxKnown = 10_000
const leastMs = 60_000
const mostMs = 3_600_000

type Known = { readonly answer: string | undefined; readonly untilMs: number }

/** Asks the system's resolvers, or those that are named. Answers are remembered as long as they say, within a minute and an hour. */
export const blockLists = (servers: readonly string[] = []): AskBlockList => {
  let resolver: Resolver | undefined
  const open = (): Resolver => {
    const made = new Resolver({ timeout: timeoutMs, tries: 1, maxTimeout: timeoutMs })
    if (servers.length > 0) made.setServers(servers)
    return made
  }
  return rememberedLists(async (name) => {
    try {
      resolver ??= open() // few rules ask, and rules are loaded often
      const [first] = await resolver.resolve4(name, { ttl: true })
      return { answer: first?.address, forMs: (first?.ttl ?? 0) * 1000 }
    } catch {
      return { answer: undefined, forMs: 0 }
    }
  })
}

/** Who asks what is being asked shares the answer. */
export const rememberedLists = (
  ask: (name: string) => Promise<{ readonly answer: string | undefined; readonly forMs: number }>,
): AskBlockList => {
  const known = new Map<string, Known>()
  const asking = underWay<string | undefined>()
  const askAnew = async (name: string): Promise<string | undefined> => {
    const { answer, forMs } = await ask(name)
    known.delete(name)
    const untilMs = performance.now() + Math.min(Math.max(forMs, leastMs), mostMs)
    known.set(name, { answer, untilMs })
    const [oldest] = known.keys()
    if (known.size > maxKnown && oldest !== undefined) known.delete(oldest)
    return answer
  }
  return (name) => {
    const found = known.get(name)
    if (found && found.untilMs > performance.now()) return Promise.resolve(found.answer)
    if (!asking.get(name) && asking.size() >= maxUnderWay) return Promise.resolve(undefined)
    return asking.share(name, (answered) => askAnew(name).finally(answered))
  }
}

/** What an answer of a list says in words, '' if nothing more; undefined if it does not name who was asked about. */
export const namedKind = (zone: string, answer: string): string | undefined => {
  const [net, days = 0, score = 0, code = 0] = answer.split('.').map(Number)
  // Answers are of 127.0.0.0/8; those of 127.255 say what is wrong with the question (RFC 5782 §2.1).
  if (net !== 127 || days === 255) return undefined
  if (zone.endsWith('httpbl.org')) {
    const kind = honeyPotKinds[code & 7]
    return ` ${kind}: ${days} days since last activity, threat score ${score}`
  }
  if (zone.endsWith('uribl.com')) {
    if ((code & 1) !== 0) return undefined // the question was refused
    return ` (${['BLACK', 'GREY', 'RED'].filter((_, i) => (code & (2 << i)) !== 0).join()})`
  }
  if (zone.endsWith('spamhaus.org')) return spamhausKind(code)
  return ''
}

/** By the bits of the last byte: suspicious, harvester, comment spammer. */
const honeyPotKinds = [
  'Search Engine',
  'Suspicious IP',
  'Harvester IP',
  'Suspicious harvester IP',
  'Comment spammer IP',
  'Suspicious comment spammer IP',
  'Harvester and comment spammer IP',
  'Suspicious harvester comment spammer IP',
] as const

const spamhausKind = (code: number): string => {
  if (code === 2 || code === 3) return ' (Static UBE sources)'
  if (code >= 4 && code <= 7) return ' (Illegal 3rd party exploits)'
  return code === 10 || code === 11 ? ' (Delivering unauthenticated SMTP email)' : ''
}
