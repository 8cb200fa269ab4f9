import { join } from 'node:path'
import { freePorts, listening, otherCore, startOn } from './processes.ts'

/**
 * A Redis that keeps nothing on disk. @returns Its `redis://` URL.
 *
 * @param ending Gets what ends it.
 */
export const startRedis = async (
  folder: string,
  ending: (() => Promise<void>)[],
): Promise<string> => {
  const [port = 0] = await freePorts(1)
  const output = join(folder, 'redis.out')
  const where = ['--port', String(port), '--bind', '127.0.0.1']
  const running = startOn(
    otherCore,
    ['redis-server', ...where, '--save', '', '--appendonly', 'no'],
    { output, folder },
  )
  ending.push(running.stop)
  await listening(port, running, output)
  return `redis://127.0.0.1:${port}`
}
