import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { secret, type Secret } from '#contract/secret'
import { findTool, without } from '#test/tools'

export const needsTools = without({
  'redis-server': findTool('redis-server'),
  'redis-sentinel': findTool('redis-sentinel'),
  'redis-cli': findTool('redis-cli'),
})

/** A Redis that goes on without a master. */
export type FailingOver = {
  readonly options: {
    readonly topology: 'sentinel' | 'cluster'
    readonly masterName?: string
    readonly url: Secret<string>
  }
  /** Takes away the master that has a key, once its replica has acknowledged all that it was told. */
  readonly takeAway: (key: string, how: 'kill' | 'hang') => Promise<void>
}

const folder = mkdtempSync(join(tmpdir(), 'sallyport-failover-'))
const ending: (() => Promise<void>)[] = []
after(async () => {
  for (const end of ending.reverse()) await end()
  rmSync(folder, { recursive: true, force: true })
})

/** Starts a program in a folder of its own. */
const start = (program: string, args: readonly string[]) => {
  const child = spawn(program, args, { cwd: mkdtempSync(join(folder, 'node-')), stdio: 'ignore' })
  const exited = once(child, 'exit')
  let isDead = false
  const kill = async () => {
    if (isDead) return
    isDead = true
    child.kill('SIGKILL')
    await exited
  }
  ending.push(kill)
  return { kill, hang: async () => void child.kill('SIGSTOP') }
}
const freePorts = async (count: number): Promise<number[]> => {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports.map((port) => (port > 55_000 ? port - 20_000 : port)) // a cluster talks 10,000 above
}
const cli = (port: number, ...args: string[]) =>
  execFileSync('redis-cli', ['-p', `${port}`, ...args], {
    encoding: 'utf8',
    stdio: 'pipe',
    timeout: 10_000,
  })
export const until = async (what: string, look: () => boolean | Promise<boolean>) => {
  const end = performance.now() + 30_000
  for (;;) {
    try {
      if (await look()) return
    } catch {
      // not there yet
    }
    assert.ok(performance.now() < end, `${what} did not come`)
    await sleep(100)
  }
}
const node = (port: number, more: readonly string[] = []) =>
  start('redis-server', [
    '--port',
    `${port}`,
    ...'--bind 127.0.0.1 --save  --appendonly no --repl-diskless-sync-delay 0'.split(' '),
    ...more,
  ])

/** Waits until all that a master was told is on its one replica, as that has acknowledged. */
const replicated = (port: number) =>
  until('what was told on the replica', () => {
    const told = cli(port, 'info', 'replication')
    const [, all] = /^master_repl_offset:(\d+)/m.exec(told) ?? []
    return all !== undefined && new RegExp(`^slave0:.*\\boffset=${all}\\b`, 'm').test(told)
  })

/** A master with a replica, and three sentinels. */
export const startSentinels = async (): Promise<FailingOver> => {
  const [first = 0, second = 0, ...sentinels] = await freePorts(5)
  const master = node(first)
  node(second, ['--replicaof', '127.0.0.1', `${first}`])
  await until('a replica', () =>
    cli(second, 'info', 'replication').includes('master_link_status:up'),
  )
  for (const port of sentinels) {
    const file = join(folder, `sentinel-${port}.conf`)
    const lines = [
      `port ${port}`,
      'bind 127.0.0.1',
      `sentinel monitor m 127.0.0.1 ${first} 2`,
      'sentinel down-after-milliseconds m 1000',
      'sentinel failover-timeout m 5000',
    ]
    writeFileSync(file, `${lines.join('\n')}\n`)
    start('redis-sentinel', [file])
  }
  await until('sentinels that know each other and the replica', () =>
    sentinels.every((port) => {
      const told = cli(port, 'sentinel', 'master', 'm')
      return /num-other-sentinels\n2\n/.test(told) && /num-slaves\n1\n/.test(told)
    }),
  )
  const url = secret(sentinels.map((port) => `redis://127.0.0.1:${port}`).join('\n'))
  return {
    options: { topology: 'sentinel', masterName: 'm', url },
    takeAway: async (_key, how) => {
      await replicated(first)
      await master[how]()
    },
  }
}

/** A cluster of three masters and their replicas. */
export const startCluster = async (): Promise<FailingOver> => {
  const ports = await freePorts(6)
  const nodes = new Map(
    ports.map((port) => [
      port,
      node(port, ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000']),
    ]),
  )
  for (const port of ports) await until('a node', () => cli(port, 'ping').startsWith('PONG'))
  const addresses = ports.map((port) => `127.0.0.1:${port}`)
  execFileSync(
    'redis-cli',
    ['--cluster', 'create', ...addresses, '--cluster-replicas', '1', '--cluster-yes'],
    { stdio: 'pipe', timeout: 60_000 }, // it waits for ever for nodes that do not find each other
  )
  await until('replicas', () =>
    ports.every((port) => {
      const told = cli(port, 'info', 'replication')
      return told.includes('role:master')
        ? told.includes('connected_slaves:1')
        : told.includes('master_link_status:up')
    }),
  )
  const url = secret(
    addresses
      .slice(0, 2)
      .map((address) => `redis://${address}`)
      .join('\n'),
  )
  return {
    options: { topology: 'cluster', url },
    takeAway: async (key, how) => {
      const owner = ownerOf(key, ports[0] ?? 0)
      const master = nodes.get(owner)
      assert.ok(master, 'nobody has the slot')
      await replicated(owner)
      await master[how]()
    },
  }
}

/** Port of the master that has a key's slot, by `cluster nodes`: id address flags … ranges. */
const ownerOf = (key: string, port: number): number => {
  const slot = Number(cli(port, 'cluster', 'keyslot', key))
  const holds = (range: string) => {
    const [from = 0, to = from] = range.split('-').map(Number)
    return slot >= from && slot <= to
  }
  const line = cli(port, 'cluster', 'nodes')
    .split('\n')
    .map((text) => text.split(' '))
    .find((words) => words[2]?.includes('master') && words.slice(8).some(holds))
  return Number(/:(\d+)@/.exec(line?.[1] ?? '')?.[1])
}
