import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock, systemRandomBytes, systemSleep } from '#contract/clock'
import type { SpiffeId } from '#contract/spiffe-id'
import { noLog, noMeter } from '#contract/telemetry'
import { ownSvidFromExchange } from '#identity/svid/own-svid-from-exchange'
import type { Svid } from '#identity/svid/svid'
import { ids } from '#cli/demo/configs'
import type { DemoMesh } from '#cli/demo/mesh'

/** An X.509-SVID of the running demo, had as anybody has it: by a new join token of the exchange's admin. */
export const svidFor = async (mesh: DemoMesh, spiffeId: string): Promise<Svid> => {
  const answer = await fetch(`http://127.0.0.1:${mesh.ports.exchangeAdmin}/join-tokens`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ spiffeId }),
  })
  const { token } = (await answer.json()) as { token: string }
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-interop-'))
  const joinTokenFile = join(folder, 'join-token')
  writeFileSync(joinTokenFile, token, { mode: 0o600 })
  const own = await ownSvidFromExchange({
    exchange: {
      url: `https://localhost:${mesh.ports.exchange}`,
      spiffeId: ids.exchange as SpiffeId,
      timeoutMs: 2000,
    },
    caFile: mesh.files.meshRoot,
    joinTokenFile,
    spiffeId: spiffeId as SpiffeId,
    clock: systemClock,
    sleep: systemSleep,
    randomBytes: systemRandomBytes,
    meter: noMeter,
    log: noLog,
  })
  const svid = own.current()
  own.close()
  rmSync(folder, { recursive: true })
  return svid
}
