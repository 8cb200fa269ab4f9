import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { askInTurn, type Asked } from './ask-in-turn.ts'
import type { Contender } from './contender.ts'
import { wafCases } from './waf-cases.ts'
import { startWaf, wafKinds, type WafKind } from './waf-contenders.ts'

/** Microseconds of CPU a request, by case and server. */
export type WafServers = Readonly<Record<string, Readonly<Partial<Record<WafKind, Cost>>>>>
type Cost = {
  /** With the firewall less without. */
  readonly us: number
  readonly bareUs: number
  /** Share of requests refused. */
  readonly refused: number
}

const connections = 4
const warmSeconds = 1
/** What compiles while it runs, as V8 does, needs some thousand requests before its figures stand. */
const settleSeconds = 8
const measuredCases = ['benign GET', 'benign 1 KiB form', 'benign 10 KiB JSON', 'attack mix']

type Pair = { readonly kind: WafKind; readonly on: Contender; readonly off: Contender }

/** Measures servers of one machine in turn, with their firewall and without. */
export const measureWafServers = async ({
  folder: crs,
  rounds,
  seconds,
}: {
  readonly folder: string
  readonly rounds: number
  readonly seconds: number
}): Promise<WafServers> => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-waf-'))
  const started: Contender[] = []
  try {
    const pairs: Pair[] = []
    for (const kind of wafKinds) {
      const start = async (guarded: boolean) => {
        const contender = await startWaf(kind, { folder, crs, guarded })
        if (contender) started.push(contender)
        return contender
      }
      const on = await start(true)
      const off = on && (await start(false))
      if (on && off) pairs.push({ kind, on, off })
      else console.log(`${kind}: not on this machine`)
    }
    const results: Record<string, Partial<Record<WafKind, Cost>>> = {}
    for (const name of measuredCases) {
      const questions = wafCases[name] ?? []
      const runs = pairs.map((pair) => ({ pair, on: [] as Asked[], off: [] as Asked[] }))
      for (const { on, off } of pairs)
        for (const contender of [on, off])
          await askInTurn(contender, questions, { seconds: settleSeconds, connections })
      for (let round = 0; round < rounds; round++)
        for (const { pair, on, off } of runs) {
          await askInTurn(pair.on, questions, { seconds: warmSeconds, connections })
          on.push(await askInTurn(pair.on, questions, { seconds, connections }))
          await askInTurn(pair.off, questions, { seconds: warmSeconds, connections })
          off.push(await askInTurn(pair.off, questions, { seconds, connections }))
        }
      results[name] = Object.fromEntries(
        runs.map(({ pair, on, off }) => [
          pair.kind,
          {
            us: Number((perRequest(on) - perRequest(off)).toFixed(1)),
            bareUs: Number(perRequest(off).toFixed(1)),
            refused: Number((sum(on, 'refused') / sum(on, 'requests')).toFixed(3)),
          },
        ]),
      )
    }
    return results
  } finally {
    await Promise.all(started.map(({ running }) => running.stop()))
    rmSync(folder, { recursive: true, force: true })
  }
}

/** For `console.table`. */
export const wafServerTable = (servers: WafServers) =>
  Object.fromEntries(
    Object.entries(servers).map(([name, costs]) => {
      const ours = costs.sallyport?.us
      const cells = wafKinds.flatMap((kind) => {
        const cost = costs[kind]
        if (!cost) return []
        const cell: [string, string | number][] = [[kind, cost.us]]
        if (kind !== 'sallyport' && ours !== undefined && ours > 0)
          cell.push([`÷ ours (${kind})`, Number((cost.us / ours).toFixed(1))])
        cell.push([`refused (${kind})`, `${Math.round(cost.refused * 100)} %`])
        return cell
      })
      return [name, Object.fromEntries(cells)]
    }),
  )

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN

const perRequest = (rounds: readonly Asked[]): number =>
  median(rounds.map(({ cpuMicros, requests }) => cpuMicros / requests))

const sum = (rounds: readonly Asked[], what: keyof Asked): number =>
  rounds.reduce((total, round) => total + round[what], 0)
