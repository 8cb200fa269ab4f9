import { readFileSync } from 'node:fs'
import type { Running } from './processes.ts'

export const upstreamProtocols = ['http1', 'h2'] as const
/** What is spoken to the upstream. */
export type UpstreamProtocol = (typeof upstreamProtocols)[number]

/** A proxy that is measured. */
export type Contender = {
  readonly name: string
  readonly url: string
  readonly running: Running
  /** What grows with each request and is emptied between rounds. */
  readonly records: string
}

/** A record of what was not answered as it should be. */
export const badOne = ({ records }: Contender): string =>
  readFileSync(records, 'utf8')
    .split('\n')
    .find((line) => /"problem":"(?!none)/.test(line)) ?? 'none in its records'
