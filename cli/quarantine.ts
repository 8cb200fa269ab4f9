import { exitCodes, readArguments } from './command.ts'
import { askAdmin, findAdmin, type Answered } from './quarantine/admin.ts'
import { orderOf, userHere } from './quarantine/order.ts'
import { printAdded, printLifted, printList } from './quarantine/print.ts'

const usage = `sallyport quarantine add WHAT --reason TEXT [OPTIONS]
sallyport quarantine list [OPTIONS]
sallyport quarantine lift ID… [--reason TEXT] [OPTIONS]

Cuts off whoever must not get through any more, at once: what arrives is refused, what is open is ended. Gateways that share
a list through Redis hear of it within a second.

WHAT is one of:
  --address ADDRESS        or a network: 203.0.113.0/24
  --route ID               for all callers
  --client-certificate SHA256
  --issuer NAME            all tokens of an issuer
  --subject SUB            one caller; with --issuer
  --spiffe-id ID           one identity; with /* at its end, quoted, all below it
  --jti ID                 one token; of one issuer with --issuer
  --kid ID                 all tokens signed with a key; of one issuer with --issuer

  --reason TEXT            why, for the records; the caller does not get to know it
  --actor NAME             who decided it; this user of this machine, unless said otherwise
  --for 2h                 ends by itself: 90s, 30m, 2h, 7d
  --until TIME             ends by itself, ISO 8601
  --issued-before TIME     only tokens issued before this, ISO 8601 or \`now\`: whoever signs in again gets in
  --admin URL              admin listener of a gateway; http://127.0.0.1:9911, unless said otherwise
  --config FILE            or the gateway's configuration, which names it
  --max N                  so many are listed; 1000, unless said otherwise
  --json                   one JSON document, for scripts

Exits with 0 if it was done, 1 if the gateway refused it or did not answer, 2 if the command was not understood.
`

/** `sallyport quarantine`: who and what is cut off. */
export const run = async (args: readonly string[]): Promise<number> => {
  const read = readArguments(args, {
    allowPositionals: true,
    options: {
      address: { type: 'string' },
      route: { type: 'string' },
      'client-certificate': { type: 'string' },
      issuer: { type: 'string' },
      subject: { type: 'string' },
      'spiffe-id': { type: 'string' },
      jti: { type: 'string' },
      kid: { type: 'string' },
      reason: { type: 'string' },
      actor: { type: 'string' },
      for: { type: 'string' },
      until: { type: 'string' },
      'issued-before': { type: 'string' },
      admin: { type: 'string' },
      config: { type: 'string' },
      max: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (!read.ok) return misunderstood(read.message)
  const { values, positionals } = read.given
  if (values.help) {
    process.stdout.write(usage)
    return exitCodes.done
  }
  const [command = '', ...ids] = positionals
  if (!isCommand(command)) return misunderstood(`There is no \`quarantine ${command}\`.`)
  const known: readonly string[] = optionsOf[command]
  const stray = Object.keys(values).find((name) => !known.includes(name))
  if (stray !== undefined) return misunderstood(`--${stray} is not for \`quarantine ${command}\`.`)
  const order = command === 'add' ? orderOf(values) : {}
  if (typeof order === 'string') return misunderstood(order)
  if (command === 'lift' && ids.length === 0)
    return misunderstood('Name an entry by its id; `sallyport quarantine list` shows them.')
  if (command !== 'lift' && ids.length > 0) return misunderstood(`What is ${ids.join(' ')}?`)
  if (values.max !== undefined && !/^\d{1,5}$/.test(values.max))
    return misunderstood(`--max ${values.max} is not a number.`)

  const admin = await findAdmin(values.admin, values.config)
  if ('misunderstood' in admin) return misunderstood(admin.misunderstood)
  if ('faults' in admin) return failed(admin.faults)
  const { url } = admin
  switch (command) {
    case 'add':
      return tell(await askAdmin(url, 'POST', '/quarantine', order), values.json, printAdded)
    case 'list': {
      const query = values.max === undefined ? '' : `?max=${values.max}`
      return tell(await askAdmin(url, 'GET', `/quarantine${query}`), values.json, printList)
    }
    case 'lift':
      return liftAll(url, ids, values)
    default:
      return command satisfies never
  }
}

const everywhere = ['admin', 'config', 'json', 'help'] as const
/** Options of each command: one that did nothing was meant to do something. */
const optionsOf = {
  add: [
    ...(['address', 'route', 'client-certificate', 'issuer', 'subject'] as const),
    ...(['spiffe-id', 'jti', 'kid', 'reason', 'actor', 'for', 'until', 'issued-before'] as const),
    ...everywhere,
  ],
  list: ['max', ...everywhere],
  lift: ['reason', 'actor', ...everywhere],
} as const satisfies Record<string, readonly string[]>

const isCommand = (text: string): text is keyof typeof optionsOf => Object.hasOwn(optionsOf, text)

type LiftFlags = { readonly actor?: string; readonly reason?: string; readonly json: boolean }

const liftAll = async (
  url: string,
  ids: readonly string[],
  { actor = userHere(), reason, json }: LiftFlags,
): Promise<number> => {
  const order = { actor, ...(reason === undefined ? {} : { reason }) }
  let worst: number = exitCodes.done
  for (const id of ids) {
    const answer = await askAdmin(url, 'DELETE', `/quarantine/${encodeURIComponent(id)}`, order)
    worst = Math.max(worst, tell(answer, json, printLifted))
  }
  return worst
}

const tell = (answer: Answered, json: boolean, print: (body: unknown) => void): number => {
  if (!answer.ok) return failed(answer.why)
  if (json) process.stdout.write(`${JSON.stringify(answer.body, undefined, 2)}\n`)
  else print(answer.body)
  const { warnings = [] } = answer.body as { readonly warnings?: readonly string[] }
  for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`)
  return exitCodes.done
}

const failed = (why: string): number => {
  process.stderr.write(`${why}\n`)
  return exitCodes.faults
}

const misunderstood = (why: string): number => {
  process.stderr.write(`${why}\n\n${usage}`)
  return exitCodes.usage
}
