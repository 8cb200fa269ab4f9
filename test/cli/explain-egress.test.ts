// `sallyport explain --workload`: the same judge as the gateway's, with nothing dialled.
import assert from 'node:assert/strict'
import { mock, suite, test, type TestContext } from 'node:test'
import { run } from '#cli/explain'
import type { Explanation } from '#cli/explain/explanation'
import { bundleFile } from '#config/policy/sources'
import { inspected } from '#gateway/egress/inspection/pipeline'
import type { EgressParts } from '#gateway/egress/parts'
import { egress } from '#gateway/egress/pipeline'
import { gateway, workspace } from '#test/config/workspace'

const listener =
  'listeners:\n  egress: { tls: { certificates: [{ certificateFile: tls/server.pem, keyFile: tls/server.key.pem }] } }\n'
const section = `egress:
  trustDomains: [partner.example]
  deny: [{ id: pastebins, hosts: [paste.example.com] }]
  credentials: { api: { kind: bearer, token: { env: PATH } } }
  policy: {}
  rules:
    - id: shop
      team: shop
      workloads: [spiffe://mesh.example/ns/shop/sa/shop]
      policy: { requires: { protocols: [tls, https, tls-inspected] } }
      destinations:
        - { hosts: [tunnel.example.com] }
        - { hosts: [api.example.com], protocol: https, methods: [GET], paths: [/v1], credential: api }
        - { hosts: [seen.example.com], protocol: tls-inspected, paths: [/v1], credential: api }
        - { hosts: [plain.example.com], protocol: http, ports: [80] }
        - { hosts: [ours.example.com], ports: [8445], opens: [127.0.0.0/8] }
        - { hosts: [paste.example.com] }
    - { id: new, team: shop, workloads: [spiffe://mesh.example/ns/new/sa/new], mode: report, policy: { requires: { kinds: [mesh] } } }
    - { id: theirs, team: shop, workloads: ['spiffe://partner.example/jobs/*'], destinations: [{ hosts: [tunnel.example.com] }], policy: { requires: { kinds: [mesh] } } }
federation: { directory: run, trustDomains: { partner.example: { bundleEndpoint: { profile: https_web, url: 'https://partner.example/bundle' } } } }
`
const shop = 'spiffe://mesh.example/ns/shop/sa/shop'

const explain = async (t: TestContext, ...args: readonly string[]) => {
  const { at } = workspace(t, {
    'gateway.yaml': `${gateway().replace('listeners:\n', listener).replace('bundle.tar.gz', bundleFile)}${section}`,
  })
  let printed = ''
  const write = process.stdout.write.bind(process.stdout)
  // The runner itself writes to the same place, but bytes.
  const written = mock.method(process.stdout, 'write', (given: string | Uint8Array) => {
    if (typeof given !== 'string') return write(given)
    printed += given
    return true
  })
  try {
    const code = await run(['--config', at('gateway.yaml'), '--json', ...args])
    return { code, explanation: JSON.parse(printed) as Explanation }
  } finally {
    written.mock.restore()
  }
}
/** Its steps are not run. */
const nothing = {} as EgressParts
const open = ['--address', '93.184.215.14']
const said = ({ steps }: Explanation, step: string) =>
  steps.find((one) => one.step === step)?.says ?? `no step ${step}`

suite('what a workload may', () => {
  for (const [what, args, to] of [
    [
      'a tunnel',
      [...open, 'tunnel.example.com:443'],
      /^tunnel\.example\.com port 443 at 93\.184\.215\.14, by rule shop with protocol tls; the ClientHello must name tunnel\.example\.com$/,
    ],
    [
      'a URL through a tunnel that nobody looks into',
      [...open, 'https://tunnel.example.com/v9'],
      /protocol tls; .* nobody looks into that tunnel, at GET or its path$/,
    ],
    [
      'a request that goes on over TLS',
      [...open, 'http://api.example.com/v1/x'],
      /^api\.example\.com port 443 .* protocol https, with credential api/,
    ],
    [
      'the same asked for as https',
      [...open, '--absolute-form', 'https://api.example.com/v1/x'],
      /^api\.example\.com port 443 .* protocol https, with credential api/,
    ],
    [
      'a request within a tunnel that is looked into',
      [...open, 'https://seen.example.com/v1/x'],
      /protocol tls-inspected, with credential api/,
    ],
  ] as const)
    test(what, async (t) => {
      const { code, explanation } = await explain(t, '--workload', shop, ...args)
      assert.ok(explanation.verdict.forwarded, JSON.stringify(explanation))
      assert.match(explanation.verdict.to, to)
      assert.equal(code, 0)
      assert.equal(said(explanation, 'addresses'), '93.184.215.14 is open')
      assert.match(said(explanation, 'policy'), /requirements-met/)
      assert.match(said(explanation, 'connection'), /93\.184\.215\.14 .* not dialled here/)
    })
})

test('all steps of both ways are told, in their order', async (t) => {
  const { explanation } = await explain(
    t,
    '--workload',
    shop,
    ...open,
    'https://seen.example.com/v1',
  )
  assert.deepEqual(
    explanation.steps.map(({ step }) => step),
    [...egress(nothing).names, ...inspected(nothing).names.map((step) => `within: ${step}`)],
  )
  const silent = explanation.steps.filter(({ says }) => says === '')
  assert.deepEqual(silent, [], 'a step says nothing')
})

suite('what it may not, and why', () => {
  for (const [what, args, problem, step, why] of [
    [
      'a host that is not listed',
      ['other.example.com:443'],
      'destination-denied',
      'decision',
      /rule `shop` does not list this host/,
    ],
    [
      'what is denied to all',
      ['paste.example.com:443'],
      'destination-denied',
      'decision',
      /`deny` entry `pastebins`/,
    ],
    [
      'another method',
      ['-X', 'POST', '--absolute-form', 'https://api.example.com/v1'],
      'destination-denied',
      'decision',
      /other methods or paths/,
    ],
    [
      'what the policy refuses',
      ['http://plain.example.com/'],
      'policy-denied',
      'policy',
      /protocol-not-admitted/,
    ],
    [
      'a private address',
      ['--address', '10.1.2.3', 'tunnel.example.com:443'],
      'address-denied',
      'addresses',
      /10\.1\.2\.3 is private-use/,
    ],
    [
      'one private address of two',
      [...open, '--address', '::1', 'tunnel.example.com:443'],
      'address-denied',
      'addresses',
      /93\.184\.215\.14 is open, ::1 is loopback/,
    ],
    [
      'a listener of the gateway itself',
      ['--address', '127.0.0.1', 'ours.example.com:8445'],
      'address-denied',
      'addresses',
      /127\.0\.0\.1 is own-listener/,
    ],
    ['two spellings', ['0x7f.1:443'], 'authority-invalid', 'ask', /127\.0\.0\.1/],
    [
      'another path within a tunnel',
      [...open, 'https://seen.example.com/v2'],
      'destination-denied',
      'within: decision',
      /other methods or paths/,
    ],
    [
      'another host within a tunnel',
      [...open, '-H', 'Host: other.example.com', 'https://seen.example.com/v1'],
      'host-misdirected',
      'within: ask',
      /another host than the tunnel/,
    ],
  ] as const)
    test(what, async (t) => {
      const { code, explanation } = await explain(t, '--workload', shop, ...args)
      assert.equal(code, 1)
      const { verdict, steps } = explanation
      assert.ok(!verdict.forwarded)
      assert.equal(verdict.problem, problem)
      const at = steps.findIndex(({ outcome }) => outcome === 'refused')
      assert.equal(steps[at]?.step, step)
      assert.match(said(explanation, step), why)
      const below = new Set(steps.slice(at + 1).map(({ outcome }) => outcome))
      assert.deepEqual([...below], ['not reached'])
    })
  test('a workload without a rule', async (t) => {
    const { explanation } = await explain(t, '--workload', 'spiffe://mesh.example/x', 'a.test:443')
    assert.match(said(explanation, 'decision'), /no rule is for this workload/)
  })
  test('a workload of a trust domain that may not come', async (t) => {
    const { explanation } = await explain(t, '--workload', 'spiffe://other.example/x', 'a.test:443')
    assert.match(said(explanation, 'workload'), /another trust domain/)
  })
})

test('a workload of a trust domain that may come', async (t) => {
  const id = 'spiffe://partner.example/jobs/one'
  const { explanation } = await explain(t, '--workload', id, ...open, 'tunnel.example.com:443')
  assert.equal(said(explanation, 'workload'), id)
  assert.match(said(explanation, 'decision'), /^listed, by rule theirs/)
})

test('what is only reported says what it would be refused for', async (t) => {
  const id = 'spiffe://mesh.example/ns/new/sa/new'
  const { explanation } = await explain(t, '--workload', id, ...open, 'a.example.com:443')
  assert.ok(explanation.verdict.forwarded)
  assert.match(said(explanation, 'decision'), /enforced, it would be refused: not-listed/)
})

suite('what is not understood', () => {
  for (const args of [
    ['--workload', 'shop', 'a.test:443'],
    ['--workload', shop, '--token', 'x', 'a.test:443'],
    ['--workload', shop, '--address', 'localhost', 'a.test:443'],
    ['--workload', shop, '--absolute-form', 'a.test:443'],
    ['--address', '127.0.0.1', 'https://a.test/'],
    ['a.test:443'],
  ])
    test(args.join(' '), async (t) => {
      t.mock.method(process.stderr, 'write', () => true)
      assert.equal(await run(['--config', 'gateway.yaml', ...args]), 2)
    })
})
