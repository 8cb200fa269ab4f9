/** What one workload has open and has moved. */
export type Account = { readonly tunnels: number; readonly bytesToday: number }

export type Accounts = {
  readonly of: (spiffeId: string, nowMs: number) => Account
  /** A tunnel of it opened; returns how to say that it has closed. */
  readonly opened: (spiffeId: string) => () => void
  readonly moved: (spiffeId: string, bytes: number, nowMs: number) => void
}

const dayMs = 86_400_000
const nothing: Account = { tunnels: 0, bytesToday: 0 }

type Kept = { tunnels: number; bytesToday: number; day: number }

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
    const fresh = { tunnels: 0, bytesToday: 0, day: 0 }
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
      return { tunnels: found.tunnels, bytesToday: isToday ? found.bytesToday : 0 }
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
      if (account.day !== day) account.bytesToday = 0
      account.day = day
      account.bytesToday += bytes
    },
  }
}
