import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TunnelEnd } from '#contract/audit-event'
import type { Clock } from '#contract/clock'
import type { SpiffeId } from '#contract/spiffe-id'
import type { Accounts } from './accounts.ts'
import { bytesExceeded, type RuleLimits } from './limit.ts'

export type Tunnel = {
  readonly workload: Duplex
  readonly destination: Socket
  /** What was read of the workload's bytes already. */
  readonly first: Buffer
  readonly spiffeId: SpiffeId
  readonly limits: RuleLimits | undefined
}

export type TunnelEnded = {
  readonly by: TunnelEnd
  /** From the workload to the destination. */
  readonly bytesOut: number
  readonly bytesIn: number
}

export type OpenTunnel = {
  readonly ended: Promise<TunnelEnded>
  readonly cut: () => void
}

export type Tunnels = {
  readonly open: (tunnel: Tunnel) => OpenTunnel
  readonly size: () => number
  readonly close: () => void
}

type Watched = {
  readonly tunnel: Tunnel
  readonly end: (by: TunnelEnd) => void
  readonly beganMs: number
  /** Accounted so far. */
  bytesOut: number
  bytesIn: number
  activeMs: number
}

const sweepEveryMs = 1000

/**
 * Passes bytes both ways, each side held back by the other. One look a second at the counters of all sockets does for
 * idle time, life and bytes: a timer and a listener for each chunk would cost a tunnel its memory and its speed.
 */
export const tunnels = (accounts: Accounts, clock: Clock): Tunnels => {
  const all = new Set<Watched>()

  const sweep = () => {
    const nowMs = performance.now()
    const today = clock()
    for (const watched of all) look(watched, nowMs, today)
  }
  const look = (watched: Watched, nowMs: number, today: number) => {
    const { tunnel, end } = watched
    const { limits, spiffeId } = tunnel
    account(watched, nowMs, today)
    if (!limits) return
    if (nowMs - watched.beganMs > limits.tunnelSeconds * 1000) end('life-over')
    else if (nowMs - watched.activeMs > limits.idleSeconds * 1000) end('idle')
    else if (bytesExceeded('', limits, accounts.of(spiffeId, today), 0)) end('bytes-exceeded')
  }
  const account = (watched: Watched, nowMs: number, today: number) => {
    const { bytesRead, bytesWritten } = watched.tunnel.destination
    const moved = { out: bytesWritten - watched.bytesOut, in: bytesRead - watched.bytesIn }
    if (moved.out === 0 && moved.in === 0) return
    watched.bytesOut = bytesWritten
    watched.bytesIn = bytesRead
    watched.activeMs = nowMs
    accounts.moved(watched.tunnel.spiffeId, moved, today)
  }
  const timer = setInterval(sweep, sweepEveryMs).unref()

  return {
    open: (tunnel) => {
      let end: (by: TunnelEnd) => void = () => {}
      const ended = new Promise<TunnelEnded>((resolve) => {
        const spliced = splice(tunnel, (by) => {
          account(watched, performance.now(), clock())
          all.delete(watched)
          const { bytesRead, bytesWritten } = tunnel.destination
          resolve({ by, bytesOut: bytesWritten, bytesIn: bytesRead })
        })
        end = spliced.end
        const nowMs = performance.now()
        const watched: Watched = {
          tunnel,
          end: spliced.end,
          beganMs: nowMs,
          bytesOut: 0,
          bytesIn: 0,
          activeMs: nowMs,
        }
        all.add(watched)
        spliced.start()
      })
      return { ended, cut: () => end('cut') }
    },
    size: () => all.size,
    close: () => clearInterval(timer),
  }
}

/** Passes on what one side sends, held back by how fast the other takes it, and then its end. */
const pump = (from: Duplex, to: Duplex): void => {
  from.on('data', (chunk: Buffer) => {
    const goesOn = to.write(chunk, (error) => {
      if (!error) free(chunk)
    })
    if (!goesOn) from.pause()
  })
  from.on('end', () => to.end())
  to.on('drain', () => from.resume())
  from.resume() // whoever looked at the first bytes may have left it waiting
}

/**
 * Gives back the memory of what was written. It is not V8's own, and V8 would go through all of the heap for every 40 MB of
 * it: half the CPU time of a tunnel. Only of a buffer that has it for itself, as what is read from a socket does.
 */
const free = ({ buffer, byteLength }: Buffer): void => {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0)
}

/** @param done Called once, when both sides are closed. */
const splice = ({ workload, destination, first }: Tunnel, done: (by: TunnelEnd) => void) => {
  let by: TunnelEnd | undefined
  let isOver = false
  const over = () => {
    if (isOver || !workload.closed || !destination.closed) return
    isOver = true
    done(by ?? 'error')
  }
  const end = (why: TunnelEnd) => {
    by ??= why
    workload.destroy()
    destination.destroy()
  }
  const endedBy = (who: TunnelEnd) => () => {
    by ??= who
  }
  /** The other side gets what is under way to it, and then its end. */
  const closed = (who: TunnelEnd, other: Duplex) => () => {
    by ??= who
    if (other.writableFinished || other.destroyed) other.destroy()
    else other.end(() => other.destroy())
    over()
  }
  return {
    end,
    start: () => {
      // Who has sent all may still wait for the answer to it; without this its end would end the other way, too.
      workload.allowHalfOpen = true
      workload.on('end', endedBy('workload')).on('close', closed('workload', destination))
      destination.on('end', endedBy('destination')).on('close', closed('destination', workload))
      workload.on('error', endedBy('error'))
      destination.on('error', endedBy('error'))
      if (workload.destroyed || destination.destroyed) {
        end('error')
        over()
        return
      }
      if (first.length > 0) destination.write(first)
      pump(workload, destination)
      pump(destination, workload)
    },
  }
}
