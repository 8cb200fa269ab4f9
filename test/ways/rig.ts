import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, RequestListener } from 'node:http'
import { createServer, request, type RequestOptions, type Server } from 'node:https'
import { once } from 'node:events'
import { createServer as createNetServer, type AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { stringify } from 'yaml'
import type { AuditEvent } from '#contract/audit-event'
import { systemClock, systemRandomBytes } from '#contract/clock'
import type { SpiffeId, TrustDomain } from '#contract/spiffe-id'
import type { Log } from '#contract/telemetry'
import { outsideCa } from '#cli/demo/outside-ca'
import { loadConfig, formatFaults } from '#config/load'
import type { GatewayConfig } from '#config/schema'
import { openAuthority } from '#exchange/ca/authority'
import { generateP256 } from '#exchange/ca/p256'
import { diskKeyStore } from '#exchange/keys/disk'
import { startExchange } from '#exchange/main'
import { issueX509Svid } from '#exchange/svid/x509'
import { startProcess } from '#cli/demo/process'
import { startGateway } from '#gateway/main'
import type { RunningGateway } from '#gateway/run'
import { newSigningKey, signToken } from '#test/fakes/token-maker'

const trustDomain = 'mesh.test' as TrustDomain
export const ids = {
  gateway: `spiffe://${trustDomain}/gateway` as SpiffeId,
  exchange: `spiffe://${trustDomain}/exchange` as SpiffeId,
  service: `spiffe://${trustDomain}/service` as SpiffeId,
  impostor: `spiffe://${trustDomain}/impostor` as SpiffeId,
} as const

const audience = 'https://api.test'
const issuer = 'https://issuer.test'
const hourMs = 3_600_000
const bundleFile = join(import.meta.dirname, '../../config/policy/bundle/bundle.tar.gz')

export type Rig = Awaited<ReturnType<typeof meshRig>>
export type Service = Awaited<ReturnType<Rig['service']>>
export type Gateway = Awaited<ReturnType<Rig['gateway']>>

/**
 * All that a gateway needs around it, in this process: a mesh with the exchange's own CA, an issuer of outside tokens,
 * services with SVIDs of their own. Everything ends by `close`.
 */
export const meshRig = async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-rig-'))
  const at = (name: string) => join(folder, name)
  const ending: (() => Promise<unknown> | void)[] = []
  const save = (name: string, text: string) => {
    writeFileSync(at(name), text, { mode: 0o600 })
    return at(name)
  }
  const outside = await outsideCa()
  const edge = await outside.issue('edge')
  const ingressFiles = {
    certificateFile: save('edge.pem', edge.certificate),
    keyFile: save('edge.key', edge.privateKey),
  }
  const authority = await openAuthority({
    store: diskKeyStore(at('keys')),
    trustDomain,
    lifetimes: {
      rootMs: 8760 * hourMs,
      intermediateMs: 168 * hourMs,
      jwtKeyMs: 24 * hourMs,
      longestX509SvidMs: 24 * hourMs,
      longestTokenMs: hourMs,
    },
    clock: systemClock,
    randomBytes: systemRandomBytes,
  })
  const roots = authority.current().rootsPem
  const rootsFile = save('roots.pem', roots)
  const svidOf = async (spiffeId: SpiffeId, lifetimeMs = 12 * hourMs) => {
    const { privateKey, publicKey } = await generateP256()
    const asked = { spiffeId, publicKey, lifetimeMs, dnsNames: ['localhost'] }
    const { chainPem } = issueX509Svid(
      asked,
      authority.current().issuer,
      systemClock(),
      systemRandomBytes,
    )
    return {
      cert: chainPem,
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    }
  }
  const serviceSvid = await svidOf(ids.service)
  const gatewaySvid = await svidOf(ids.gateway)
  const svidFiles = {
    certificateFile: save('gateway.pem', gatewaySvid.cert),
    keyFile: save('gateway.key', gatewaySvid.key),
    bundleFile: rootsFile,
  }
  const key = newSigningKey('outside')
  save('jwks.json', JSON.stringify({ keys: [key.jwk] }))

  /** Signed by the outside issuer; a reader by default. */
  const token = (claims: object = {}, lifetimeSeconds = 300, signer = key) => {
    const now = Math.floor(systemClock() / 1000)
    return signToken(signer, {
      iss: issuer,
      aud: audience,
      sub: 'alice',
      iat: now,
      exp: now + lifetimeSeconds,
      ...claims,
    })
  }

  /** A service of the mesh on HTTP/1.1; `port` 0 for a free one. */
  const service = async (
    listener: RequestListener,
    options: { port?: number; svid?: SpiffeId } = {},
  ) => {
    const svid = options.svid ? await svidOf(options.svid) : serviceSvid
    const server: Server = createServer(
      { ...svid, ca: roots, requestCert: true, rejectUnauthorized: true },
      listener,
    )
    const sockets = new Set<Duplex>()
    server.on('connection', (socket) => {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
    })
    server.on('tlsClientError', () => {})
    server.listen(options.port ?? 0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    let isClosed = false
    const close = async () => {
      if (isClosed) return
      isClosed = true
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    }
    ending.push(close)
    return {
      server,
      port,
      url: `https://127.0.0.1:${port}`,
      connections: () => sockets.size,
      close,
    }
  }

  const shared = {
    version: 1,
    trustDomain,
    issuers: {
      outside: {
        issuer,
        audiences: [audience],
        algorithms: ['ES256'],
        jwksFile: at('jwks.json'),
        skewSeconds: 0,
        minRemainingSeconds: 0,
      },
    },
    identities: [
      { name: 'people', issuer: 'outside', spiffeId: `spiffe://${trustDomain}/people/{sub}` },
    ],
  }

  /** The real exchange of this mesh. */
  const exchange = async (port = 0, more: object = {}) => {
    const file = save(
      'exchange.yaml',
      stringify({
        ...shared,
        spiffeId: ids.exchange,
        issuer: 'https://localhost',
        listeners: {
          exchange: { port, names: ['localhost', '127.0.0.1'] },
          admin: { port: 0 },
        },
        ca: { store: { directory: at('keys') } },
        gateways: [ids.gateway],
        audit: { file: at('exchange-audit.jsonl') },
        ...more,
      }),
    )
    const loaded = await loadConfig('exchange', file)
    if (!loaded.ok) throw new Error(formatFaults(loaded.faults))
    const running = await startExchange(loaded.config, { log: logTo([]) })
    let closing: Promise<void> | undefined
    const close = () => (closing ??= running.close())
    ending.push(close)
    return { ...running, close }
  }

  const written = (name: string, config: object) => save(`${name}.yaml`, stringify(config))

  /** Writes the configuration of a gateway and returns the file. `exchangePort` 1: there is none. */
  const gatewayFile = (
    name: string,
    given: {
      routes: readonly object[]
      upstreams: object
      exchangePort?: number
      exchangeTimeoutMs?: number
    } & Record<string, unknown>,
  ) => {
    const { exchangePort = 1, exchangeTimeoutMs = 10_000, ...more } = given
    const { listeners = {}, limits = {}, ...rest } = more as Record<string, object>
    const { ingress = {}, admin = {}, ...others } = listeners as Record<string, object>
    return written(name, {
      ...shared,
      spiffeId: ids.gateway,
      identity: { source: 'files', ...svidFiles },
      exchange: {
        url: `https://localhost:${exchangePort}`,
        spiffeId: ids.exchange,
        caFile: rootsFile,
        timeoutMs: exchangeTimeoutMs,
      },
      listeners: {
        ingress: { port: 0, tls: { certificates: [ingressFiles] }, ...ingress },
        admin: { port: 0, ...admin },
        ...others,
      },
      // A busy machine is no matter of the tests, but of those that ask for it.
      limits: { load: { maxEventLoopDelayMs: 0 }, ...limits },
      policy: { bundleFile },
      waf: { mode: 'off' },
      audit: { file: at(`${name}.audit.jsonl`) },
      drainSeconds: 5,
      ...rest,
    })
  }

  const gateway = async (name: string, given: Parameters<typeof gatewayFile>[1]) => {
    const file = gatewayFile(name, given)
    const load = async (): Promise<{ config: GatewayConfig; revision: string }> => {
      const loaded = await loadConfig('gateway', file)
      if (!loaded.ok) throw new Error(formatFaults(loaded.faults))
      return loaded
    }
    const { config, revision } = await load()
    const logged: object[] = []
    const running: RunningGateway = await startGateway(config, { log: logTo(logged), revision })
    let closing: Promise<void> | undefined
    const close = () => (closing ??= running.close())
    ending.push(close)
    const ask = (path: string, options: RequestOptions = {}) =>
      askAt(running.ingress.port, outside.root, path, options)
    return {
      ...running,
      close,
      logged,
      port: running.ingress.port,
      ca: outside.root,
      ask,
      /** Writes another configuration and loads it. */
      change: async (next: Parameters<typeof gatewayFile>[1]) => {
        gatewayFile(name, next)
        const loaded = await load()
        await running.reload(loaded.config, loaded.revision)
      },
      records: () => recordsIn(at(`${name}.audit.jsonl`)),
      record: (isIt: (event: AuditEvent) => boolean) =>
        eventually(() => recordsIn(at(`${name}.audit.jsonl`)).find(isIt)),
      status: async () =>
        (await (await fetch(`http://127.0.0.1:${running.admin.port}/status`)).json()) as Status,
      metrics: async () => (await fetch(`http://127.0.0.1:${running.admin.port}/metrics`)).text(),
    }
  }

  /** A gateway in a process of its own, which takes signals. */
  const gatewayProcess = async (name: string, given: Parameters<typeof gatewayFile>[1]) => {
    const [port = 0, adminPort = 0] = await freePorts(2)
    const onPorts = (next: Parameters<typeof gatewayFile>[1]) => ({
      ...next,
      listeners: {
        ingress: { port },
        admin: { port: adminPort },
        ...(next['listeners'] as object),
      },
    })
    const file = gatewayFile(name, onPorts(given))
    const running = await startProcess('gateway', file, { adminPort, folder, timeoutMs: 120_000 })
    let ended: Promise<void> | undefined
    const stop = () => (ended ??= running.stop())
    ending.push(stop)
    return {
      port,
      ca: outside.root,
      file,
      pid: running.pid,
      stop,
      /** Writes another configuration; nobody is told. */
      write: (next: Parameters<typeof gatewayFile>[1]) => gatewayFile(name, onPorts(next)),
      hangUp: () => process.kill(running.pid, 'SIGHUP'),
      auditFile: at(`${name}.audit.jsonl`),
      adminUrl: `http://127.0.0.1:${adminPort}`,
      status: async () =>
        (await (await fetch(`http://127.0.0.1:${adminPort}/status`)).json()) as Status,
      metrics: async () => (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text(),
      ready: async () => (await fetch(`http://127.0.0.1:${adminPort}/readyz`)).status,
    }
  }

  return {
    folder,
    at,
    save,
    outside,
    ingressFiles,
    svidFiles,
    svidOf,
    token,
    /** The outside issuer, as a configuration names it, and its published keys. */
    issuer: shared.issuers.outside,
    jwks: () => JSON.stringify({ keys: [key.jwk] }),
    service,
    exchange,
    gateway,
    gatewayFile,
    gatewayProcess,
    close: async () => {
      for (const end of ending.reverse()) await end()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export type Status = {
  readonly open: number
  readonly config: {
    readonly revision: string
    readonly loads: number
    readonly needsRestart: readonly string[]
    readonly lastFault?: { readonly faults: readonly string[] }
  }
  readonly upstreams: Record<
    string,
    { inFlight: number; queued: number; endpoints: Record<string, { state: string }> }
  >
}

/** A route that anyone may use. */
export const openRoute = (id: string, prefix: string, more: object = {}) => ({
  id,
  team: 'test',
  match: { hosts: ['localhost'], path: { prefix } },
  authenticate: 'none',
  policy: { requires: { public: true } },
  upstream: 'service',
  ...more,
})

/** A route for whoever has a token of the outside issuer. */
export const tokenRoute = (id: string, prefix: string, more: object = {}) => ({
  ...openRoute(id, prefix),
  authenticate: { issuers: ['outside'] },
  policy: { requires: { kinds: ['external'] } },
  ...more,
})

export type Answer = {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
}

/** One request on a connection of its own, unless an agent is given. Rejects if no whole answer comes. */
export const askAt = async (
  port: number,
  ca: string,
  path: string,
  { headers, ...options }: RequestOptions & { body?: string | Buffer } = {},
): Promise<Answer> => {
  const req = request({
    host: '127.0.0.1',
    port,
    servername: 'localhost',
    ca,
    path,
    agent: false,
    ...options,
    headers: { host: 'localhost', ...(headers as Record<string, string>) },
  })
  req.end(options.body)
  const [res] = (await once(req, 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of res) chunks.push(chunk as Buffer)
  return {
    status: res.statusCode ?? 0,
    headers: res.headers,
    text: Buffer.concat(chunks).toString('utf8'),
  }
}

export const recordsIn = (file: string): readonly AuditEvent[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as AuditEvent)

/** Waits until there is something, for at most `withinMs`. */
export const eventually = async <T>(
  look: () => T | undefined | Promise<T | undefined>,
  withinMs = 90_000,
): Promise<T> => {
  const until = performance.now() + withinMs
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (performance.now() > until) throw new Error('it did not come')
    await sleep(20)
  }
}

export const freePorts = async (count: number): Promise<readonly number[]> => {
  const servers = Array.from({ length: count }, () => createNetServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}

const logTo = (lines: object[]): Log => {
  const note = (level: string) => (fields: object, message: string) =>
    void lines.push({ level, message, ...fields })
  return { info: note('info'), warn: note('warn'), error: note('error') }
}
