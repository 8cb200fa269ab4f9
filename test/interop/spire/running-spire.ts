import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { readSvidLeaf } from '#identity/svid/certificate'
import { certificatesOf } from '#identity/svid/pem'
import { freePorts } from '../../ways/rig.ts'

const run = promisify(execFile)
const startTimeoutMs = 60_000

export type SpirePrograms = { readonly server: string; readonly agent: string }

export type Spire = {
  readonly folder: string
  /** `unix:///PATH` of the agent. */
  readonly socket: string
  /** Registers an identity for every process of this user. */
  readonly register: (spiffeId: string, ...more: readonly string[]) => Promise<void>
  /** PEM roots as the server publishes them. */
  readonly roots: () => Promise<string>
  /** What the server's CLI answers. */
  readonly ask: (...words: readonly string[]) => Promise<string>
  /** An SVID of one of our identities, had by SPIRE's own client. */
  readonly svidOf: (
    spiffeId: string,
  ) => Promise<{ readonly cert: string; readonly key: string; readonly bundle: string }>
  /** A JWT-SVID of one of our identities, had likewise. */
  readonly jwtOf: (spiffeId: string, audience: string) => Promise<string>
  readonly startAgent: () => Promise<void>
  readonly stopAgent: () => Promise<void>
  /** Where `federation` of the server listens, if it was asked for. */
  readonly bundlePort: number
  readonly close: () => Promise<void>
}

/** A real SPIRE server with one agent, on free ports. */
export const runSpire = async (programs: SpirePrograms, trustDomain: string): Promise<Spire> => {
  const folder = mkdtempSync(join(tmpdir(), 'spire-')) // short: a socket's path may have 107 characters
  const at = (name: string) => join(folder, name)
  const [port = 0, bundlePort = 0] = await freePorts(2)
  for (const name of ['s', 'a', 'ak']) mkdirSync(at(name))
  writeFileSync(at('server.conf'), serverConfig({ folder, port, bundlePort, trustDomain }))
  writeFileSync(at('agent.conf'), agentConfig({ folder, port, trustDomain }))
  const api = ['-socketPath', at('api.sock')]

  const server = start(programs.server, ['run', '-config', at('server.conf')])
  await healthy(programs.server, api, server)
  const ask = async (...words: readonly string[]) =>
    (await run(programs.server, [...words, ...api])).stdout
  const said = await ask('token', 'generate', '-spiffeID', `spiffe://${trustDomain}/node`)
  const [, token = ''] = /Token: (\S+)/.exec(said) ?? []

  let agent: Started | undefined
  const startAgent = async () => {
    // The token is good once; later the agent comes with what it keeps on disk.
    const args = ['run', '-config', at('agent.conf'), '-joinToken', token]
    agent = start(programs.agent, args)
    await healthy(programs.agent, ['-socketPath', at('agent.sock')], agent)
  }
  await startAgent()
  const stopAgent = async () => {
    await agent?.stop()
    agent = undefined
  }

  return {
    folder,
    socket: `unix://${at('agent.sock')}`,
    bundlePort,
    ask,
    register: async (spiffeId, ...more) => {
      const who = ['-selector', `unix:uid:${process.getuid?.() ?? 0}`]
      const parent = ['-parentID', `spiffe://${trustDomain}/node`]
      await ask('entry', 'create', '-spiffeID', spiffeId, ...parent, ...who, ...more)
    },
    roots: () => ask('bundle', 'show'),
    svidOf: async (spiffeId) => {
      const given = mkdtempSync(at('svid-'))
      for (const until = performance.now() + startTimeoutMs; performance.now() < until;) {
        await run(programs.agent, [
          'api',
          'fetch',
          'x509',
          '-socketPath',
          at('agent.sock'),
          '-write',
          given,
        ]).catch(() => undefined) // it may not know of the entry yet
        const found = readdirSync(given)
          .filter((name) => /^svid\.\d+\.pem$/.test(name))
          .find((name) => idOf(join(given, name)) === spiffeId)
        const [, number = ''] = /(\d+)/.exec(found ?? '') ?? []
        if (found !== undefined)
          return {
            cert: readFileSync(join(given, found), 'utf8'),
            key: readFileSync(join(given, `svid.${number}.key`), 'utf8'),
            bundle: readFileSync(join(given, `bundle.${number}.pem`), 'utf8'),
          }
        await sleep(200)
      }
      throw new Error(`SPIRE gives no SVID of ${spiffeId}`)
    },
    jwtOf: async (spiffeId, audience) => {
      const { stdout } = await run(programs.agent, [
        'api',
        'fetch',
        'jwt',
        '-socketPath',
        at('agent.sock'),
        '-spiffeID',
        spiffeId,
        '-audience',
        audience,
      ])
      const [token] = /eyJ[\w-]+\.[\w-]+\.[\w-]+/.exec(stdout) ?? []
      if (token === undefined) throw new Error(`SPIRE gives no JWT-SVID of ${spiffeId}`)
      return token
    },
    startAgent,
    stopAgent,
    close: async () => {
      await stopAgent()
      await server.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const idOf = (file: string): string | undefined => {
  const certificates = certificatesOf(readFileSync(file, 'utf8'))
  const leaf = certificates.ok ? readSvidLeaf(certificates.value[0]) : undefined
  return leaf?.ok ? leaf.value.spiffeId : undefined
}

type Started = {
  readonly stop: () => Promise<void>
  readonly said: () => string
  readonly child: ChildProcess
}

const start = (program: string, args: readonly string[]): Started => {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  const note = (chunk: Buffer) => (said = (said + chunk.toString()).slice(-3000))
  child.stdout.on('data', note)
  child.stderr.on('data', note)
  const ended = once(child, 'exit')
  return {
    child,
    said: () => said,
    stop: async () => {
      child.kill('SIGTERM')
      const late = setTimeout(() => child.kill('SIGKILL'), 5000)
      await ended
      clearTimeout(late)
    },
  }
}

const healthy = async (program: string, api: readonly string[], started: Started) => {
  const until = performance.now() + startTimeoutMs
  while (performance.now() < until && started.child.exitCode === null) {
    const isHealthy = await run(program, ['healthcheck', ...api]).then(
      () => true,
      () => false,
    )
    if (isHealthy) return
    await sleep(100)
  }
  await started.stop()
  throw new Error(`${program} did not start:\n${started.said()}`)
}

type Place = {
  readonly folder: string
  readonly port: number
  readonly trustDomain: string
}

const serverConfig = ({
  folder,
  port,
  bundlePort,
  trustDomain,
}: Place & { readonly bundlePort: number }) => `
server {
  bind_address = "127.0.0.1"
  bind_port = "${port}"
  socket_path = "${folder}/api.sock"
  trust_domain = "${trustDomain}"
  data_dir = "${folder}/s"
  log_level = "WARN"
  ca_ttl = "24h"
  experimental { cache_reload_interval = "1s" }
  federation {
    bundle_endpoint {
      address = "127.0.0.1"
      port = ${bundlePort}
      refresh_hint = "10s"
      profile "https_spiffe" {}
    }
  }
}
plugins {
  DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "${folder}/s/data.sqlite3" } }
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "memory" { plugin_data {} }
}
`

const agentConfig = ({ folder, port, trustDomain }: Place) => `
agent {
  data_dir = "${folder}/a"
  server_address = "127.0.0.1"
  server_port = "${port}"
  socket_path = "${folder}/agent.sock"
  trust_domain = "${trustDomain}"
  log_level = "WARN"
  insecure_bootstrap = true
  experimental { sync_interval = "1s" }
}
plugins {
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "disk" { plugin_data { directory = "${folder}/ak" } }
  WorkloadAttestor "unix" { plugin_data {} }
}
`
