import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

export type Envoy = {
  /** Where its only listener is. */
  readonly port: number
  /** A counter of its own, such as `http.sidecar.rbac.denied`. */
  readonly counter: (name: string) => Promise<number>
}

const startTimeoutMs = 30_000
const pollMs = 50

/** Starts a real Envoy with the configuration given as text; it ends with the tests of the file. */
export const runEnvoy = async (envoy: string, config: string, folder: string): Promise<Envoy> => {
  const configFile = join(folder, 'envoy.yaml')
  const adminFile = join(folder, 'envoy-admin')
  writeFileSync(configFile, config)
  const child = spawn(
    envoy,
    ['-c', configFile, '--admin-address-path', adminFile, '--use-dynamic-base-id'].concat([
      '--concurrency',
      '1',
      '--log-level',
      'error',
    ]),
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-3000)))
  const ended = once(child, 'exit')
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null
  after(async () => {
    child.kill('SIGKILL')
    await ended
  })

  const ask = async (path: string) => {
    const answer = await fetch(`http://${readFileSync(adminFile, 'utf8')}${path}`)
    return answer.ok ? answer.text() : undefined
  }
  const until = performance.now() + startTimeoutMs
  while (performance.now() < until && !hasEnded()) {
    const isReady = await ask('/ready').catch(() => undefined) // not there yet, or not whole
    if (isReady !== undefined) return { port: portOf(await ask('/listeners')), counter }
    await sleep(pollMs)
  }
  throw new Error(`Envoy did not start:\n${said}`)

  async function counter(name: string): Promise<number> {
    const [, value] = /: (\d+)$/m.exec((await ask(`/stats?filter=^${name}$`)) ?? '') ?? []
    if (value === undefined) throw new Error(`Envoy has no counter ${name}`)
    return Number(value)
  }
}

/** From `sidecar::127.0.0.1:34567`. */
const portOf = (listeners: string | undefined): number => {
  const [, port] = /:(\d+)$/m.exec(listeners ?? '') ?? []
  if (port === undefined) throw new Error('Envoy does not listen')
  return Number(port)
}
