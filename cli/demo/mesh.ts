import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent, fetch as fetchWith } from 'undici'
import type { SpiffeId } from '#contract/spiffe-id'
import { noLog } from '#contract/telemetry'
import { audience, demoFiles, ids, writeConfigs, type DemoFiles } from './configs.ts'
import { startIssuer, type DemoIssuer } from './issuer.ts'
import { outsideCa } from './outside-ca.ts'
import type { DemoPorts } from './ports.ts'
import { startProcess, type DemoProcess } from './process.ts'
import { callerOf, type Caller } from './request.ts'
import { startService, type Service } from './service.ts'

/** Everything of the demo, running. */
export type DemoMesh = {
  readonly files: DemoFiles
  readonly ports: DemoPorts
  readonly issuer: DemoIssuer
  readonly caller: Caller
  /** Takes the exchange away, as an outage would. */
  readonly killExchange: () => Promise<void>
  readonly restartExchange: () => Promise<void>
  /** Process ids. */
  readonly pids: () => { readonly gateway: number; readonly exchange: number }
  readonly close: () => Promise<void>
}

/** Long, for a machine that has much else to do; who fails to start ends before that. */
const startTimeoutMs = 60_000

/** Starts issuer, exchange, services and gateway, in the order in which they need one another. */
export const startMesh = async (ports: DemoPorts): Promise<DemoMesh> => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-demo-'))
  const files = demoFiles(folder)
  const ending: (() => Promise<unknown>)[] = []
  const close = async () => {
    for (const end of ending.reverse()) await end()
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    return { ...(await start(files, ports, ending)), close }
  } catch (cause) {
    await close()
    throw cause
  }
}

const start = async (
  files: DemoFiles,
  ports: DemoPorts,
  ending: (() => Promise<unknown>)[],
): Promise<Omit<DemoMesh, 'close'>> => {
  const outside = await outsideCa()
  writeConfigs(files, ports, outside.root, await outside.issue('gateway'))
  const agent = new Agent({ connect: { ca: outside.root } })
  ending.push(() => agent.close())
  const issuer = await startIssuer({
    port: ports.issuer,
    audience,
    rootFile: files.outsideRoot,
    tls: await outside.issue('issuer'),
    fetch: (url, init) => fetchWith(url, { ...init, dispatcher: agent }),
  })
  ending.push(issuer.close)

  const startExchange = () =>
    startProcess('exchange', files.exchange, {
      adminPort: ports.exchangeAdmin,
      folder: files.folder,
      timeoutMs: startTimeoutMs,
    })
  let exchange: DemoProcess = await startExchange()
  ending.push(() => exchange.stop())

  const service = (name: 'orders' | 'billing' | 'impostor'): Promise<Service> =>
    startService({
      name,
      spiffeId: ids[name] as SpiffeId,
      port: ports[name],
      exchange: {
        url: `https://localhost:${ports.exchange}`,
        spiffeId: ids.exchange as SpiffeId,
        caFile: files.meshRoot,
      },
      joinTokenFile: files.joinToken(name),
      admits: ids.gateway as SpiffeId,
      svidFiles:
        name === 'orders' ? { certificate: files.ordersSvid, key: files.ordersKey } : undefined,
      log: noLog,
    })
  for (const running of await Promise.all([
    service('orders'),
    service('billing'),
    service('impostor'),
  ]))
    ending.push(running.close)

  const gateway = await startProcess('gateway', files.gateway, {
    adminPort: ports.admin,
    folder: files.folder,
    timeoutMs: startTimeoutMs,
  })
  ending.push(gateway.stop)
  const caller = callerOf(`https://localhost:${ports.ingress}`, outside.root)
  ending.push(caller.close)

  return {
    files,
    ports,
    issuer,
    caller,
    pids: () => ({ gateway: gateway.pid, exchange: exchange.pid }),
    killExchange: () => exchange.kill(),
    restartExchange: async () => {
      exchange = await startExchange()
    },
  }
}
