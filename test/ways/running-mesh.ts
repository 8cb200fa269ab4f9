import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AuditEvent } from '#contract/audit-event'
import { startMesh, type DemoMesh } from '#cli/demo/mesh'
import { demoPorts, takenPorts } from '#cli/demo/ports'

/** Issuer, exchange, services and gateway, all real, on ports of their own; they end with the tests of the file. */
export const runningMesh = async (): Promise<DemoMesh> => {
  const mesh = await startMesh(await freePorts())
  after(mesh.close)
  return mesh
}

/** As many ports in a row as the demo needs, below those that the system gives to clients. */
export const freePorts = async () => {
  for (;;) {
    const ports = demoPorts(10_000 + randomInt(22_000))
    if ((await takenPorts(ports)).length === 0) return ports
  }
}

/** The record of one request, by its decision id or by what else is known of it. */
export const recordOf = async (
  mesh: DemoMesh,
  isIt: (event: AuditEvent) => boolean,
): Promise<AuditEvent> => {
  for (let waitedMs = 0; waitedMs < 30_000; waitedMs += 50) {
    const found = recordsOf(mesh).filter(isIt)
    assert.ok(found.length < 2, 'more than one record')
    if (found[0]) return found[0]
    await sleep(50)
  }
  throw new Error('no record came')
}

export const recordsOf = (mesh: DemoMesh): readonly AuditEvent[] =>
  readFileSync(mesh.files.gatewayAudit, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as AuditEvent)
