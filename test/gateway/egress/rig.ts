import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { AuditEvent } from '#contract/audit-event'
import { systemClock, systemSleep } from '#contract/clock'
import { admitted, pass, refuse } from '#contract/problem'
import { secret } from '#contract/secret'
import type { SpiffeId } from '#contract/spiffe-id'
import { noLog, noMeter } from '#contract/telemetry'
import type { Egress, GatewayConfig } from '#config/schema'
import { runEgress, type BuiltEgress, type RunEgress } from '#gateway/egress/run'
import { defaultHttp2Limits } from '#http/h2-server/limits'
import { fileStamp } from '#http/file-stamp'
import { openFirewall } from '#gateway/main'
import { cutQuarantined } from '#gateway/cut-quarantined'
import { liveTable } from '#gateway/live'
import { runtimes, type Runtimes } from '#gateway/runtime'
import type { FederatedBundles } from '#identity/federation/federated-bundles'
import type { OwnSvid } from '#identity/svid/svid'
import { egressAllowlist } from '#plugins/egress-allowlist/guard'
import { loadPolicyBundle } from '#plugins/policy/bundle'
import { policyEngine } from '#plugins/policy/engine'
import { bundleFile } from '#config/policy/sources'
import { quarantine } from '#plugins/quarantine/guard'
import { openQuarantine } from '#plugins/quarantine/open'
import { runDns } from '#test/fakes/dns-server'
import {
  makeCertificate,
  makeRoot,
  makeSvid,
  rootExtensions,
  type MadeCertificate,
} from '#test/fakes/openssl'
import { wireOn, type Wire } from '#test/http/wire'

export const trustDomain = 'mesh.example'
export const shop = `spiffe://${trustDomain}/ns/shop/sa/shop`
export const gatewayId = `spiffe://${trustDomain}/gateway`
export const exchangeId = `spiffe://${trustDomain}/exchange`

const wafDefaults = {
  mode: 'enforce',
  ruleFiles: [],
  paranoia: 1,
  inboundThreshold: 5,
  outboundThreshold: 4,
  earlyBlocking: false,
  methods: ['GET', 'HEAD', 'POST', 'OPTIONS', 'PUT', 'PATCH', 'DELETE'],
  contentTypes: ['application/json', 'application/x-www-form-urlencoded'],
  exclusions: [],
  samplingPercent: 100,
  responses: false,
  overLimit: 'refuse',
  limits: {
    maxBodyBytes: 131_072,
    maxValueBytes: 65_536,
    maxArguments: 1000,
    maxDepth: 512,
    maxResponseBodyBytes: 131_072,
  },
} as const

type Rule = Partial<Omit<Egress['rules'][number], 'limits' | 'destinations'>> & {
  readonly destinations?: readonly Partial<Egress['rules'][number]['destinations'][number]>[]
  readonly limits?: Partial<Egress['rules'][number]['limits']>
}
export type RigOptions = {
  readonly rules: readonly Rule[]
  readonly deny?: Egress['deny']
  readonly dns?: Partial<Egress['dns']>
  readonly more?: Partial<Egress>
  readonly ports?: Partial<RunEgress>
  /** Bundles of other trust domains. */
  readonly federated?: FederatedBundles
  /** Where the bundle is; nowhere, if absent. */
  readonly exchangeUrl?: string
  /** Of the gateway; one of the mesh root, if absent. `bundle` besides the mesh root. */
  readonly gateway?: { readonly cert: string; readonly key: string; readonly bundle: string }
  readonly waf?: Partial<GatewayConfig['waf']>
}

/** A mesh root, an outside root, and certificates of both: the same for all test files of a process. */
export const certificates = (): Certificates => (once ??= makeCertificates())

const makeCertificates = () => {
  const meshRoot = makeRoot(trustDomain)
  const outsideRoot = makeCertificate({ subject: '/CN=outside', extensions: rootExtensions() })
  const outside = (names: string) =>
    makeCertificate({
      issuer: outsideRoot,
      subject: '/CN=x',
      extensions: [`subjectAltName = ${names}`],
    })
  const workloads = new Map<string, MadeCertificate>()
  const workload = (spiffeId: string): MadeCertificate => {
    const made = workloads.get(spiffeId) ?? makeSvid(meshRoot, spiffeId, [])
    workloads.set(spiffeId, made)
    return made
  }
  return {
    meshRoot,
    outsideRoot,
    outside,
    proxy: outside('DNS:proxy.test, DNS:localhost, IP:127.0.0.1'),
    gateway: makeSvid(meshRoot, gatewayId),
    workload,
  }
}
export type Certificates = ReturnType<typeof makeCertificates>
let once: Certificates | undefined

const ruleOf = (rule: Rule, i: number): Egress['rules'][number] => ({
  id: `rule-${i}`,
  team: 'shop',
  workloads: [shop],
  mode: 'enforce',
  policy: { requires: {} },
  ...rule,
  limits: { maxTunnels: 1000, tunnelSeconds: 3600, idleSeconds: 300, ...rule.limits },
  destinations: (rule.destinations ?? []).map(
    (destination) =>
      ({
        protocol: 'tls',
        withoutServerName: false,
        encryptedClientHello: false,
        ...destination,
      }) as Egress['rules'][number]['destinations'][number],
  ),
})

/** Whom no limit stops. */
export const aQuota = {
  name: 'caller',
  mode: 'enforce',
  limit: 1,
  windowSeconds: 1,
  remaining: 1,
  resetSeconds: 1,
} as const

/** An egress listener as a gateway runs it, with a name server of its own; it ends with the tests of the file. */
export const runRig = async (certs: Certificates, options: RigOptions) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-egress-'))
  const dns = await runDns()
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const files = {
    proxy: file('proxy.pem', certs.proxy.pem),
    proxyKey: file('proxy.key', certs.proxy.keyPem),
    outsideRoot: file('outside.pem', certs.outsideRoot.pem),
  }
  const egressOf = ({ rules, deny = [], dns: dnsOptions = {}, more = {} }: RigOptions): Egress => ({
    deny,
    allow: [],
    nat64Prefixes: [],
    indispensable: [],
    audiences: [],
    credentials: {},
    destinationRoots: { files: [files.outsideRoot], publicRoots: false },
    trustDomains: [],
    connectTimeoutMs: 1000,
    clientHelloTimeoutMs: 5000,
    headersTimeoutMs: 2000,
    maxBodyBytes: 1_000_000,
    maxInspectedHosts: 100,
    ...more,
    rules: rules.map(ruleOf),
    dns: {
      servers: [dns.address],
      hosts: {},
      timeoutMs: 400,
      maxTtlSeconds: 60,
      cacheEntries: 100,
      answers: 'all',
      ...dnsOptions,
    },
  })
  const listening = {
    host: '127.0.0.1',
    port: 0,
    tls: {
      profile: 'intermediate',
      certificates: [{ certificateFile: files.proxy, keyFile: files.proxyKey }],
    },
    limits: {
      headersTimeoutMs: 2000,
      requestTimeoutMs: 10_000,
      keepAliveTimeoutMs: 2000,
      maxConnections: 20_000,
      maxHeaderBytes: 16_384,
      maxHeaderPairs: 100,
      maxTargetBytes: 8192,
      maxRequestsPerConnection: 100,
    },
    http2: { offered: true, ...defaultHttp2Limits },
  } as const
  const configOf = (changed: RigOptions) =>
    ({
      trustDomain,
      spiffeId: gatewayId,
      identity: { source: 'files' },
      exchange: {
        url: options.exchangeUrl ?? 'https://127.0.0.1:1',
        spiffeId: exchangeId,
        timeoutMs: options.gateway ? 10_000 : 200,
        caFile: '',
      },
      listeners: {
        egress: {
          ...listening,
          tls: { ...listening.tls, certificates: [...listening.tls.certificates] },
        },
      },
      waf: { ...wafDefaults, ...changed.waf },
      policy: {
        bundleFile,
        entrypoint: 'sallyport/decision',
        maxInputBytes: 65_536,
        maxMemoryBytes: 67_108_864,
      },
      egress: egressOf(changed),
    }) as unknown as GatewayConfig
  const ownSvid: OwnSvid = {
    current: () => ({
      spiffeId: gatewayId as SpiffeId,
      certificateChain: options.gateway?.cert ?? certs.gateway.pem,
      privateKey: secret(options.gateway?.key ?? certs.gateway.keyPem),
      bundle: (options.gateway?.bundle ?? '') + certs.meshRoot.pem,
      notBeforeMs: 0,
      notAfterMs: Number.POSITIVE_INFINITY,
    }),
    onChange: () => () => {},
    close: () => {},
  }
  const records: AuditEvent[] = []
  const bugs: unknown[] = []
  const config = configOf(options)
  const ownPorts: number[] = []
  const shared = { clock: systemClock, randomBytes, meter: noMeter, log: noLog }
  const list = await openQuarantine({ maxEntries: 100 }, shared)
  const cutOff = quarantine({ list, ...shared })
  const egress = await runEgress(config, config.listeners.egress!, {
    audit: {
      write: (event) => void records.push(event),
      ready: () => admitted,
      close: async () => {},
    },
    meter: noMeter,
    uptimeMs: () => performance.now(),
    viaName: 'sallyport-test',
    openAllowlist: egressAllowlist,
    openFirewall: openFirewall(noLog),
    quarantine: cutOff,
    stampOf: fileStamp,
    openPolicy: (policy) => policyEngine(loadPolicyBundle(policy), policy, shared),
    mint: async () => refuse('identity-unavailable', { cause: 'the rig has no exchange' }),
    limit: () => () => pass(aQuota),
    clock: systemClock,
    randomBytes,
    sleep: systemSleep,
    log: { ...noLog, error: (fields) => void bugs.push(fields) },
    ownSvid,
    ownPorts: () => ownPorts,
    enter: () => {
      const [{ parts }, leave] = all.enter()
      return { ...parts, leave }
    },
    ...options.ports,
  })
  const stopCutting = cutQuarantined({
    quarantine: cutOff,
    live: liveTable(), // no way in here
    listener: { cutIdle: () => {} },
    egress,
    clock: systemClock,
  })
  const all: Runtimes<GatewayConfig, BuiltEgress> = runtimes(async (next, hand) => {
    const built = await egress.build(next, hand, options.federated ?? noFederation())
    if (!built) throw new Error('the rig has no way out')
    return built
  })
  await all.load(config)
  const { port } = await egress.listen()
  ownPorts.push(port)
  after(async () => {
    stopCutting()
    await egress.close(200)
    await cutOff.close()
    all.close()
    await dns.close()
    rmSync(folder, { recursive: true })
  })

  /** A connection to the proxy, as a workload with its certificate, or as nobody. */
  const dialProxy = async (workload?: string): Promise<Wire> =>
    wireOn(connectTo(port, certs, workload), 'secureConnect')

  return {
    port,
    dns,
    file,
    files,
    records,
    bugs,
    live: egress.live,
    quarantine: cutOff,
    tunnels: egress.tunnels,
    reload: (changed: RigOptions) => all.load(configOf(changed)),
    dialProxy,
    /** Asks for a tunnel; the answer, and the wire it came on. */
    connect: async (
      place: string,
      { as = shop, headers = [] }: { as?: string | undefined; headers?: readonly string[] } = {},
    ) => {
      const wire = await dialProxy(as)
      wire.write([`CONNECT ${place} HTTP/1.1`, `Host: ${place}`, ...headers, '', ''].join('\r\n'))
      const answer = await wire.answer()
      return { wire, answer }
    },
    /** The record that fits, once it is there. */
    recordOf: async (isIt: (event: AuditEvent) => boolean): Promise<AuditEvent> => {
      for (let waitedMs = 0; waitedMs < 5000; waitedMs += 10) {
        const found = records.find(isIt)
        if (found) return found
        await sleep(10)
      }
      throw new Error(`no record came; there are ${JSON.stringify(records)}`)
    },
  }
}
export type Rig = Awaited<ReturnType<typeof runRig>>

const connectTo = (port: number, certs: Certificates, workload: string | undefined): TLSSocket => {
  const svid = workload === undefined ? undefined : certs.workload(workload)
  return connectTls({
    port,
    host: '127.0.0.1',
    servername: 'proxy.test',
    ca: certs.outsideRoot.pem,
    ...(svid ? { cert: svid.pem, key: svid.keyPem } : {}),
  })
}

/** The status and the tag of an answer that is a refusal. */
export const refusalOf = ({ status, head }: { status: number; head: string }): string =>
  `${status} ${/^x-sallyport-error: (.*)$/im.exec(head)?.[1] ?? 'none'}`

const noFederation = (): FederatedBundles => ({
  get: () => undefined,
  onChange: () => () => {},
  start: async () => {},
  status: () => ({}),
  close: () => {},
})
