import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TunnelEnd } from '#contract/audit-event'
import type { Clock } from '#contract/clock'
import type { SpiffeId } from '#contract/spiffe-id'
import type { Accounts } from './accounts.ts'
import type { Problem } from '#contract/problem'
import { bytesExceeded, type RuleLimits } from './limit.ts'
import type { Reader } from './read-buffers.ts'
import { isRefusal, type TunnelRefusal, type TunnelWatch } from './tunnel-watch.ts'

export type Tunnel = {
  readonly workload: Duplex
  readonly destination: Socket
  /** Of the destination, if it is not read by `data` events. */
  readonly reader?: Reader | undefined
  readonly spiffeId: SpiffeId
  readonly limits: RuleLimits | undefined
  /** Looks at what comes through, for as long as it has to. */
  readonly watch?: TunnelWatch | undefined
}

export type TunnelEnded = {
  readonly by: TunnelEnd
  /** From the workload to the destination. */
  readonly bytesOut: number
  readonly bytesIn: number
  /** Why what came through was not let on. */
  readonly problem?: Problem
}

export type OpenTunnel = {
  readonly ended: Promise<TunnelEnded>
  readonly cut: () => void
}

export type Tunnels = {
  /** @param first What was read of the workload's bytes already. */
  readonly open: (tunnel: Tunnel, first: Buffer) => OpenTunnel
  readonly size: () => number
  readonly close: () => void
}

/** All that is kept of one; there may be ten thousand, so it is one object, and its listeners are those of all. */
type Watched = Omit<Tunnel, 'watch'> & {
  readonly beganMs: number
  /** Accounted so far. */
  bytesOut: number
  bytesIn: number
  activeMs: number
  watch: TunnelWatch | undefined
  /** Who was the first to end its side. */
  firstEnd: 'workload' | 'destination' | undefined
  /** What ended it, where that was not just its two ends. */
  by: TunnelEnd | undefined
  problem: Problem | undefined
  isOver: boolean
  readonly over: (watched: Watched) => void
  readonly resolve: (ended: TunnelEnded) => void
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
    const { limits, spiffeId } = watched
    account(watched, nowMs, today)
    if (!limits) return
    if (nowMs - watched.beganMs > limits.tunnelSeconds * 1000) end(watched, 'life-over')
    else if (nowMs - watched.activeMs > limits.idleSeconds * 1000) end(watched, 'idle')
    else if (bytesExceeded('', limits, accounts.of(spiffeId, today), 0))
      end(watched, 'bytes-exceeded')
  }
  const account = (watched: Watched, nowMs: number, today: number) => {
    const { bytesRead, bytesWritten } = watched.destination
    const moved = { out: bytesWritten - watched.bytesOut, in: bytesRead - watched.bytesIn }
    if (moved.out === 0 && moved.in === 0) return
    watched.bytesOut = bytesWritten
    watched.bytesIn = bytesRead
    watched.activeMs = nowMs
    accounts.moved(watched.spiffeId, moved, today)
  }
  const over = (watched: Watched) => {
    account(watched, performance.now(), clock())
    all.delete(watched)
    const { bytesRead, bytesWritten } = watched.destination
    const { firstEnd = 'error', by = firstEnd, problem } = watched
    const ended = { by, bytesOut: bytesWritten, bytesIn: bytesRead }
    watched.resolve(problem ? { ...ended, problem } : ended)
  }
  const timer = setInterval(sweep, sweepEveryMs).unref()

  return {
    open: (tunnel, first) => {
      const { promise, resolve } = Promise.withResolvers<TunnelEnded>()
      const nowMs = performance.now()
      const watched: Watched = {
        ...tunnel,
        beganMs: nowMs,
        bytesOut: 0,
        bytesIn: 0,
        activeMs: nowMs,
        watch: tunnel.watch,
        firstEnd: undefined,
        by: undefined,
        problem: undefined,
        isOver: false,
        over,
        resolve,
      }
      all.add(watched)
      splice(watched, first)
      return { ended: promise, cut: () => end(watched, 'cut') }
    },
    size: () => all.size,
    close: () => clearInterval(timer),
  }
}

const tunnelKey = Symbol('the tunnel that a socket is an end of')
type End = Duplex & { [tunnelKey]?: Watched }

/** Passes on what one side sends, held back by how fast the other takes it, and then its end. */
const splice = (watched: Watched, first: Buffer): void => {
  const { workload, destination } = watched
  for (const one of [workload, destination] as readonly End[]) {
    one[tunnelKey] = watched
    one.on('close', closed).on('error', failed)
  }
  if (workload.destroyed || destination.destroyed) {
    end(watched, 'error')
    settle(watched)
    return
  }
  // Who has sent all may still wait for the answer to it; without this its end would end the other way, too.
  workload.allowHalfOpen = true
  if (watched.watch) passWatched(watched, watched.watch, workload, first)
  else if (first.length > 0) destination.write(first)
  for (const one of [workload, destination] as readonly End[]) {
    one.on('data', passOn).on('end', endOther).on('drain', resumeOther)
    if (one.readableEnded) endOther.call(one) // while its first bytes were looked at
    one.resume() // whoever did may have left it waiting
  }
  watched.reader?.start(destination, (chunk, done) => passRead(watched, chunk, done))
}

const end = (watched: Watched, why: TunnelEnd): void => {
  watched.by ??= why
  watched.workload.destroy()
  watched.destination.destroy()
}

const refuse = (watched: Watched, { problem, farewell }: TunnelRefusal): void => {
  const { workload, destination } = watched
  watched.by ??= 'refused'
  watched.problem ??= problem
  watched.watch = refusing // of what is still on its way nothing goes on
  destination.destroy()
  if (farewell && workload.writable) workload.end(farewell, () => workload.destroy())
  else workload.destroy()
}

const nothing = Buffer.alloc(0)
const refusing: TunnelWatch = { out: () => nothing, in: () => nothing, isOver: () => false }

const settle = (watched: Watched): void => {
  if (watched.isOver || !watched.workload.closed || !watched.destination.closed) return
  watched.isOver = true
  watched.over(watched)
}

const tunnelOf = (one: End): Watched => {
  const watched = one[tunnelKey]
  if (!watched) throw new Error('a socket that is no end of a tunnel')
  return watched
}

const otherOf = (one: End): Duplex => {
  const { workload, destination } = tunnelOf(one)
  return one === workload ? destination : workload
}

const nameOf = (one: End): 'workload' | 'destination' =>
  one === tunnelOf(one).workload ? 'workload' : 'destination'

// Listeners; Node calls them with their socket as `this`.

function passOn(this: End, chunk: Buffer): void {
  const watched = tunnelOf(this)
  if (watched.watch) return passWatched(watched, watched.watch, this, chunk)
  const goesOn = otherOf(this).write(chunk, (error) => {
    if (!error) free(chunk)
  })
  if (!goesOn) this.pause()
}

/** As `passOn`, of memory that is read into again once it is written. */
const passRead = (watched: Watched, chunk: Buffer, done: () => void): void => {
  const { workload, destination, watch } = watched
  if (watch) {
    passWatched(watched, watch, destination, Buffer.from(chunk))
    done()
  } else if (!workload.write(chunk, done)) destination.pause()
}

/** Its memory is not given back: the watch may have kept some of it. */
const passWatched = (watched: Watched, watch: TunnelWatch, from: End, chunk: Buffer): void => {
  const isFromWorkload = from === watched.workload
  const through = isFromWorkload ? (watch.out?.(chunk) ?? chunk) : watch.in(chunk)
  if (isRefusal(through)) return refuse(watched, through)
  if (watched.watch === watch && watch.isOver()) watched.watch = undefined
  if (through.length > 0 && !otherOf(from).write(through)) from.pause()
}

function resumeOther(this: End): void {
  otherOf(this).resume()
}

function endOther(this: End): void {
  const watched = tunnelOf(this)
  watched.firstEnd ??= nameOf(this)
  const rest = this === watched.destination ? watched.watch?.rest?.() : undefined
  if (rest && rest.length > 0) watched.workload.end(rest)
  else otherOf(this).end()
}

/** One of whom all has come, or who is left by the destination, has nothing to break off. */
function failed(this: End): void {
  const watched = tunnelOf(this)
  const isDestination = this === watched.destination
  if (watched.firstEnd === undefined || (isDestination && !this.readableEnded))
    watched.by ??= 'error'
}

/** The other side gets what is under way to it, and then its end. */
function closed(this: End): void {
  const watched = tunnelOf(this)
  watched.firstEnd ??= nameOf(this)
  const other = otherOf(this)
  if (other.writableFinished || other.destroyed) other.destroy()
  else other.end(() => other.destroy())
  settle(watched)
}

/**
 * Gives back the memory of what was written. It is not V8's own, and V8 would go through all of the heap for every 40 MB of
 * it: half the CPU time of a tunnel. Only of a buffer that has it for itself, as what is read from a socket does.
 */
const free = ({ buffer, byteLength }: Buffer): void => {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0)
}
