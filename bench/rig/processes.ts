import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync, readFileSync, truncateSync } from 'node:fs'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { cpus } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

/** Core of what is measured, and core of all else. */
export const measuredCore = 0
export const otherCore = 1

/** A program of the benchmark, on one core, its output in a file. */
export type Running = {
  readonly pid: number
  /** CPU time so far, user and system, all its threads. */
  readonly cpuMicros: () => number
  readonly hasEnded: () => boolean
  readonly stop: () => Promise<void>
}

const ticksPerSecond = 100 // what the kernel shows to programs, on every Linux
const microsPerTick = 1_000_000 / ticksPerSecond
const killAfterMs = 5000

/** Starts a program on one core, where the machine has `taskset` and the cores. */
export const startOn = (
  core: number,
  [program = '', ...args]: readonly string[],
  { output, folder }: { readonly output: string; readonly folder: string },
): Running => {
  const file = openSync(output, 'a')
  const [command, ...rest] = pinned(core, program, args)
  const child = spawn(command, rest, { cwd: folder, stdio: ['ignore', file, file] })
  closeSync(file)
  const pid = child.pid ?? 0
  return {
    pid,
    cpuMicros: () => cpuMicrosOf(pid),
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    stop: () => stop(child),
  }
}

/** The same, with its workers: their CPU time counts as its own. */
export const withWorkers = (running: Running): Running => ({
  ...running,
  cpuMicros: () =>
    [running.pid, ...childrenOf(running.pid)].reduce((sum, pid) => sum + cpuMicrosOf(pid), 0),
})

/** Processes that it started. */
export const childrenOf = (pid: number): readonly number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ').map(Number)

/** Moves a process that runs already, with all its threads. */
export const moveTo = (cores: readonly number[], pid: number): void =>
  void execFileSync('taskset', ['-apc', cores.join(','), String(pid)], { stdio: 'ignore' })

/** The command that runs a program on one core. */
export const pinned = (
  core: number,
  program: string,
  args: readonly string[],
): readonly [string, ...string[]] =>
  process.platform === 'linux' && cpus().length > 1
    ? ['taskset', '-c', String(core), program, ...args]
    : [program, ...args]

const stop = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), killAfterMs)
  await ended
  clearTimeout(timer)
}

/** `utime` and `stime` of proc(5); what stands before them is in brackets and may hold anything. */
const cpuMicrosOf = (pid: number): number => {
  const fields = statOf(String(pid))
  return (Number(fields[11]) + Number(fields[12])) * microsPerTick
}

/** CPU time of our own children that have ended, wrk among them. */
export const endedChildrenMicros = (): number => {
  const fields = statOf('self')
  return (Number(fields[13]) + Number(fields[14])) * microsPerTick
}

const statOf = (pid: string): readonly string[] =>
  readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ')

/** CPU time that the whole machine has spent on anything but waiting. */
export const machineBusyMicros = (): number => {
  const [first = ''] = readFileSync('/proc/stat', 'latin1').split('\n', 1)
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = first
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number)
  return (user + nice + system + irq + softirq) * microsPerTick
}

export const freePorts = async (count: number): Promise<readonly number[]> => {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}

/** @throws Error with the end of its output if the program ends, or takes too long. */
export const listening = async (
  port: number,
  running: Running,
  output: string,
  {
    everyMs = 50,
    withinMs = 20_000,
  }: { readonly everyMs?: number; readonly withinMs?: number } = {},
): Promise<void> => {
  const until = performance.now() + withinMs
  while (!(await isOpen(port))) {
    if (running.hasEnded() || performance.now() > until)
      throw new Error(`nobody listens at ${port}; ${output} ends with:\n${endOf(output)}`)
    await sleep(everyMs)
  }
}

const isOpen = async (port: number): Promise<boolean> => {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

export const endOf = (file: string): string => readFileSync(file, 'utf8').slice(-2000)

/** Records of one round are of no use in the next, and would fill the disk. */
export const empty = (file: string): void => truncateSync(file)
