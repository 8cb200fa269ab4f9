import { readdirSync, readFileSync } from 'node:fs'

/** What a process holds. */
export type Footprint = {
  readonly rssMb: number
  /** Live and dead objects of V8; its least in a while is what is live. */
  readonly heapMb: number
  readonly descriptors: number
  readonly open: number
}

/** Reads it from /proc and from the admin listener. */
export const footprintOf = async (pid: number, adminPort: number): Promise<Footprint> => {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text()
  const metric = (name: string) =>
    Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1] ?? Number.NaN)
  return {
    rssMb: rssMbOf(pid),
    heapMb: metric('nodejs_heap_size_used_bytes') / 1e6,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    open: metric('sallyport_open'),
  }
}

export const rssMbOf = (pid: number): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1000
