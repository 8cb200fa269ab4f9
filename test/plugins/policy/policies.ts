import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundleFile } from '#config/policy/sources'
import type { PolicyInput } from '#contract/policy'
import type { PolicyOptions } from '#plugins/policy/options'
import { findTool, without } from '#test/tools'

const opa = findTool('opa')
export const needsOpa = without({ opa })

const directory = mkdtempSync(join(tmpdir(), 'sallyport-policy-test-'))
process.once('exit', () => rmSync(directory, { recursive: true })) // several files of tests may share it
let files = 0

/** Writes a file that is gone when the tests are over. */
export const writeTemporary = (content: string | Buffer, name = 'bundle.tar.gz'): string => {
  const file = join(directory, `${files++}-${name}`)
  writeFileSync(file, content)
  return file
}

export const runOpa = (args: readonly string[], input?: string): string =>
  execFileSync(opa ?? 'opa', args, {
    encoding: 'utf8',
    stdio: 'pipe',
    ...(input !== undefined && { input }),
  })

/** Builds a bundle from one Rego file. */
export const buildBundle = (rego: string, args: readonly string[] = []): string => {
  const source = writeTemporary(rego, 'policy.rego')
  const target = join(directory, `${files++}-built.tar.gz`)
  runOpa(['build', '-t', 'wasm', '-e', 'sallyport/decision', ...args, '-o', target, source])
  return target
}

/** The shipped policy, as far as the options do not say otherwise. */
export const optionsOf = (more: Partial<PolicyOptions> = {}): PolicyOptions => ({
  bundleFile,
  entrypoint: 'sallyport/decision',
  maxInputBytes: 65_536,
  maxMemoryBytes: 16_777_216,
  ...more,
})

export type InputChanges = {
  readonly requires?: PolicyInput['route']['requires']
  readonly subject?: Partial<PolicyInput['subject']>
  readonly request?: Partial<PolicyInput['request']>
} & Partial<Pick<PolicyInput, 'direction' | 'nowMs'>>

/** A request of a known caller at a route that requires `requires`. Tuesday, 25 November 2025, 12:00 UTC. */
export const inputOf = ({
  requires = {},
  subject,
  request,
  ...more
}: InputChanges = {}): PolicyInput => ({
  version: 1,
  nowMs: 1_764_072_000_000,
  direction: 'ingress',
  trustDomain: 'mesh.example',
  request: {
    method: 'GET',
    host: 'api.example.com',
    path: '/tenants/acme/orders',
    segments: ['tenants', 'acme', 'orders'],
    query: '?page=2',
    headers: {},
    ...request,
  },
  route: { id: 'orders', team: 'shop', requires },
  subject: {
    spiffeId: 'spiffe://mesh.example/users/ann',
    issuer: 'staff',
    kind: 'external',
    claims: {
      realm_access: { roles: ['shop-editor'] },
      scope: 'openid orders',
      tenant: 'acme',
    },
    ...subject,
  },
  tls: { version: 'TLSv1.3', clientSpiffeId: null },
  net: { address: '192.0.2.7' },
  ...more,
})
