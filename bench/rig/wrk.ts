import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { otherCore, pinned } from './processes.ts'

const run = promisify(execFile)

export type Load = {
  readonly url: string
  readonly seconds: number
  readonly connections: number
  /** On which it runs, if it is not the usual one. */
  readonly core?: number
  readonly headers?: readonly string[]
  /** A script in Lua that makes the requests. */
  readonly script?: string | undefined
}

/** What wrk saw. Closed loop: its latencies compare only at the same number of connections. */
export type Seen = {
  readonly requests: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Answers other than 2xx and 3xx, and connections that failed. */
  readonly bad: number
}

export const wrk = async ({
  url,
  seconds,
  connections,
  headers = [],
  script,
  core = otherCore,
}: Load): Promise<Seen> => {
  const [command, ...args] = pinned(core, 'wrk', [
    '-t1',
    `-c${connections}`,
    `-d${seconds}`,
    '--latency',
    // A slow answer is one: after 2 s it would be counted among those that failed, as happens on a busy machine.
    '--timeout',
    `${seconds + 30}`,
    ...headers.flatMap((header) => ['-H', header]),
    ...(script === undefined ? [] : ['-s', script]),
    url,
  ])
  const { stdout } = await run(command, args, { timeout: (seconds + 30) * 1000 })
  const number = (pattern: RegExp) => Number(pattern.exec(stdout)?.[1] ?? 0)
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(stdout)
  return {
    requests: number(/(\d+) requests in/),
    perSecond: number(/Requests\/sec:\s+([\d.]+)/),
    p50Ms: milliseconds(/^ +50%\s+(\S+)/m.exec(stdout)?.[1]),
    p99Ms: milliseconds(/^ +99%\s+(\S+)/m.exec(stdout)?.[1]),
    bad:
      number(/Non-2xx or 3xx responses: (\d+)/) +
      (errors?.slice(1).reduce((sum, count) => sum + Number(count), 0) ?? 0),
  }
}

const milliseconds = (text = ''): number => {
  const value = Number.parseFloat(text)
  if (text.endsWith('us')) return value / 1000
  return text.endsWith('ms') ? value : value * 1000
}
