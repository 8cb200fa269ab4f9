import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findTool, without } from '#test/tools'

const program = findTool('redis-server')

/** For `suite(name, needsRedis, …)`: why it is skipped where there is no Redis server. */
export const needsRedis = without({ 'redis-server': program })

export type RedisServer = {
  readonly port: number
  /** Sends SIGSTOP or SIGCONT: a server that hangs. */
  readonly signal: (name: 'SIGSTOP' | 'SIGCONT') => void
  readonly stop: () => Promise<void>
}

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('close', () => resolve(false)).once('connect', () => socket.destroy())
  })

/**
 * Starts a real Redis server that keeps nothing on disk.
 *
 * @param args More of its arguments.
 * @param wantedPort A free one by default. With `--tls-port` among the arguments, pass the same here.
 */
export const startRedis = async (
  args: readonly string[] = [],
  wantedPort?: number,
): Promise<RedisServer> => {
  const port = wantedPort ?? (await freePort())
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-redis-'))
  const isTls = args.includes('--tls-cert-file')
  const listen = isTls ? ['--port', '0', '--tls-port', `${port}`] : ['--port', `${port}`]
  const child = spawn(
    program ?? 'redis-server',
    [
      ...listen,
      '--bind',
      '127.0.0.1',
      '--dir',
      directory,
      '--save',
      '',
      '--appendonly',
      'no',
      ...args,
    ],
    { stdio: 'ignore' },
  )
  const exited = once(child, 'exit')
  for (let tries = 0; !(await answers(port)); tries++) {
    if (tries > 200 || child.exitCode !== null) throw new Error('redis-server does not start')
    await sleep(25)
  }
  return {
    port,
    signal: (name) => void child.kill(name),
    stop: async () => {
      child.kill('SIGKILL')
      await exited
      await rm(directory, { recursive: true, force: true })
    },
  }
}
