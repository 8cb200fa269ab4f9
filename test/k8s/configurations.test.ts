import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { loadPolicyBundle } from '#plugins/policy/bundle'
import { policyEngine } from '#plugins/policy/engine'
import { noLog, noMeter } from '#contract/telemetry'
import { checkConfigs, formatFault } from '#config/load'
import { bundleFile } from '#config/policy/sources'

const k8s = join(import.meta.dirname, '../../k8s')
const base = (name: string) => join(k8s, 'base/config', name)

/** What an overlay's configuration includes lies beside it in the cluster, as the base's does here. */
const overlay = mkdtempSync(join(tmpdir(), 'sallyport-k8s-'))
after(() => rmSync(overlay, { recursive: true }))
copyFileSync(base('shared.yaml'), join(overlay, 'shared.yaml'))
for (const name of ['prod', 'egress'])
  copyFileSync(join(k8s, `overlays/${name}/gateway.yaml`), join(overlay, `${name}.yaml`))

for (const [which, gateway] of [
  ['base', base('gateway.yaml')],
  ['prod', join(overlay, 'prod.yaml')],
  ['egress', join(overlay, 'egress.yaml')],
] as const)
  test(`gateway and exchange of ${which} have no fault, no warning, and agree`, async () => {
    const checked = await checkConfigs([gateway, base('exchange.yaml')], { lookAtFiles: false })
    assert.deepEqual(
      checked.map(({ kind }) => kind),
      ['gateway', 'exchange'],
    )
    const open = /listens on every address|without TLS|is open to|admin/ // probes and scrapes come from the network there
    for (const { faults, warnings } of checked) {
      assert.deepEqual(faults.map(formatFault), [])
      assert.deepEqual(
        warnings.map(formatFault).filter((warning) => !open.test(warning)),
        [],
      )
    }
  })

test('the policy lets in whom its data give the role, and nobody else', async () => {
  const policy = loadPolicyBundle({
    bundleFile,
    dataFile: base('policy-data.json'),
    entrypoint: 'sallyport/decision',
    maxInputBytes: 65_536,
    maxMemoryBytes: 67_108_864,
  })
  const engine = policyEngine(policy, { maxInputBytes: 65_536 }, { meter: noMeter, log: noLog })
  const decide = async (sub: string) =>
    engine.decide({
      version: 1,
      nowMs: 0,
      direction: 'ingress',
      trustDomain: 'mesh.example',
      request: {
        method: 'GET',
        host: 'api.example.com',
        path: '/orders',
        segments: ['orders'],
        query: '',
        headers: {},
      },
      route: { id: 'orders', team: 'shop', requires: { roles: { any: ['orders-reader'] } } },
      subject: {
        spiffeId: 'spiffe://mesh.example/ns/shop/sa/storefront',
        issuer: 'cluster',
        kind: 'mesh',
        claims: { sub },
      },
      tls: { version: 'TLSv1.3', clientSpiffeId: null },
      net: { address: '192.0.2.1' },
    })
  assert.ok((await decide('system:serviceaccount:shop:storefront')).ok)
  assert.ok(!(await decide('system:serviceaccount:shop:other')).ok)
})
