import cluster from 'node:cluster'
import { processLog } from './log.ts'
import { serve } from './serve.ts'

/** `sallyport gateway`: the process that faces callers and forwards, or one of several workers of it. */
export const run = (args: readonly string[]): Promise<number> =>
  cluster.isWorker
    ? serveAsWorker()
    : serve('gateway', args, async () => (await import('#gateway/main')).serveGateway)

/** A worker is told by its primary what to do, also when to end: a signal to the whole group is for the primary. */
const serveAsWorker = async (): Promise<number> => {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => {})
  const { startGatewayWorker } = await import('#gateway/main')
  return new Promise((resolve) => {
    const end = {
      send: (message: object) => void process.send?.(message, undefined, undefined, () => {}),
      onMessage: (listener: (message: unknown) => void) => void process.on('message', listener),
    }
    startGatewayWorker(processLog('gateway'), end, () => resolve(0))
  })
}
