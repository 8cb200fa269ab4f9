import { spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { once } from 'node:events'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A gateway or an exchange of the demo, in a process of its own. */
export type DemoProcess = {
  readonly pid: number
  /** Kills it at once, as an outage would. */
  readonly kill: () => Promise<void>
  /** Ends it in good order. */
  readonly stop: () => Promise<void>
}

const entry = fileURLToPath(new URL(`../sallyport${extname(import.meta.url)}`, import.meta.url))

/**
 * Starts `sallyport KIND FILE` and waits until its admin listener calls it ready.
 *
 * @throws Error with the end of its log if it ends before that.
 */
export const startProcess = async (
  kind: 'gateway' | 'exchange',
  file: string,
  options: { readonly adminPort: number; readonly folder: string; readonly timeoutMs: number },
): Promise<DemoProcess> => {
  const log = join(options.folder, `${kind}.log`)
  const child = spawn(process.execPath, [entry, kind, file], { stdio: ['ignore', 'pipe', 'pipe'] })
  const logFile = createWriteStream(log, { flags: 'a' })
  child.stdout.pipe(logFile, { end: false })
  child.stderr.pipe(logFile, { end: false })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-2000)))
  const ended = once(child, 'exit')
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null
  const end = async (signal: NodeJS.Signals) => {
    if (!hasEnded()) child.kill(signal)
    await ended
    logFile.end()
  }
  const isReady = await becomesReady(options.adminPort, options.timeoutMs, hasEnded)
  if (!isReady) {
    const why = hasEnded() ? 'ended' : `was not ready within ${options.timeoutMs / 1000} s`
    await end('SIGKILL')
    throw new Error(`the ${kind} ${why}; ${log} ends with:\n${said.trim()}`)
  }
  return { pid: child.pid ?? 0, kill: () => end('SIGKILL'), stop: () => end('SIGTERM') }
}

const pollMs = 50

const becomesReady = async (
  port: number,
  timeoutMs: number,
  hasEnded: () => boolean,
): Promise<boolean> => {
  const until = performance.now() + timeoutMs
  while (performance.now() < until && !hasEnded()) {
    try {
      const answer = await fetch(`http://127.0.0.1:${port}/readyz`)
      if (answer.ok) return true
    } catch {
      // nobody listens there yet
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
  return false
}
