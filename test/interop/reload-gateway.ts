import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DemoMesh } from '#cli/demo/mesh'

const waitMs = 30_000
const pollMs = 50

/**
 * Has the gateway read its files again, and waits until it goes by them.
 *
 * @throws Error with the end of its log if it stays with what it had.
 */
export const reloadGateway = async (mesh: DemoMesh): Promise<void> => {
  const log = () => readFileSync(join(mesh.files.folder, 'gateway.log'), 'utf8')
  const before = log().length
  process.kill(mesh.pids().gateway, 'SIGHUP')
  for (let waitedMs = 0; waitedMs < waitMs; waitedMs += pollMs) {
    const said = log().slice(before)
    if (/"msg":"reloaded"/.test(said)) return
    if (/"msg":"[^"]*the one before stays"/.test(said)) break
    await sleep(pollMs)
  }
  throw new Error(`the gateway did not reload; it said:\n${log().slice(before)}`)
}
