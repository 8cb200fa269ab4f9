/** What one workload has open and has moved. */
export type Account = {
  readonly tunnels: number
  /** From the workload to destinations. */
  readonly bytesOutToday: number
  readonly bytesInToday: number
}

/** Bytes, by the way they went. */
export type Moved = { readonly out: number; readonly in: number }

export type Accounts = {
  readonly of: (spiffeId: string, nowMs: number) => Account
  /** A tunnel of it opened; returns how to say that it has closed. */
  readonly opened: (spiffeId: string) => () => void
  readonly moved: (spiffeId: string, bytes: Moved, nowMs: number) => void
}

const dayMs = 86_400_000
const nothing: Account = { tunnels: 0, bytesOutToday: 0, bytesInToday: 0 }

type Kept = { tunnels: number; out: number; in: number; day: number }

/**
 * Counts for each workload, in this process, by days of UTC. Only proven identities come here, and of those that have
 * nothing open the ones not seen for longest go when there are too many.
 */
export const accounts = (maxWorkloads = 100_000): Accounts => {
  const all = new Map<string, Kept>()

  const kept = (spiffeId: string): Kept => {
    const found = all.get(spiffeId)
    if (found) return found
    if (all.size >= maxWorkloads) forgetOne()
    const fresh = { tunnels: 0, out: 0, in: 0, day: 0 }
    all.set(spiffeId, fresh)
    return fresh
  }
  const forgetOne = () => {
    for (const [spiffeId, { tunnels }] of all) if (tunnels === 0) return void all.delete(spiffeId)
  }

  return {
    of: (spiffeId, nowMs) => {
      const found = all.get(spiffeId)
      if (!found) return nothing
      const isToday = found.day === Math.floor(nowMs / dayMs)
      return {
        tunnels: found.tunnels,
        bytesOutToday: isToday ? found.out : 0,
        bytesInToday: isToday ? found.in : 0,
      }
    },
    opened: (spiffeId) => {
      const account = kept(spiffeId)
      account.tunnels += 1
      let isOpen = true
      return () => {
        if (isOpen) account.tunnels -= 1
        isOpen = false
      }
    },
    moved: (spiffeId, bytes, nowMs) => {
      const account = kept(spiffeId)
      const day = Math.floor(nowMs / dayMs)
      if (account.day !== day) account.out = account.in = 0
      account.day = day
      account.out += bytes.out
      account.in += bytes.in
    },
  }
}
