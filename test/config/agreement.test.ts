import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { exchange, gateway, workspace } from './workspace.ts'

type Change = (text: string) => string
const same: Change = (text) => text
const replace =
  (from: string | RegExp, to: string): Change =>
  (text) => {
    const changed = text.replace(from, to)
    assert.notEqual(changed, text)
    return changed
  }

const asked = (more: string) =>
  `introspection: { endpoint: 'https://login.example/introspect', authentication: { method: client_secret_basic, clientId: us, secret: { file: tls/server.pem } }, ${more} }`

const goingOut = (section: string): Change =>
  replace(
    'listeners:\n',
    `egress: ${section}
listeners:
  egress:
    tls: { certificates: [{ certificateFile: tls/server.pem, keyFile: tls/server.key.pem }] }
`,
  )
const shop = (destination: string) =>
  `rules: [{ id: shop, team: shop, workloads: [spiffe://mesh.example/shop], destinations: [${destination}] }]`
const inspecting = (hosts: string) =>
  goingOut(`{ ${shop(`{ hosts: ${hosts}, protocol: tls-inspected }`)} }`)
const asking = goingOut(
  `{ credentials: { orders: { kind: token-exchange, audience: 'https://orders.example.com' } },
  ${shop('{ hosts: [orders.example.com], protocol: https, credential: orders }')} }`,
)

const rows: readonly (readonly [name: string, ours: Change, theirs: Change, ...said: string[]])[] =
  [
    ['agree', same, same],
    [
      'do not know each other',
      replace('gateway\nidentity', 'gateway-2\nidentity'),
      same,
      'exchange: the gateway "spiffe://mesh.example/gateway-2" is not among `gateways`, so it may not ask on behalf of others — add it',
      'exchange: warning: there is no join token for "spiffe://mesh.example/gateway-2", which takes its first certificate from here — add one to `joinTokens`, unless you hand it one in another way',
    ],
    [
      'take the exchange for someone else',
      replace('spiffe://mesh.example/exchange', 'spiffe://mesh.example/exchange-2'),
      same,
      'gateway: the gateway expects "spiffe://mesh.example/exchange-2" where the exchange is "spiffe://mesh.example/exchange" — say the same in both',
    ],
    [
      'do not know the same issuers',
      replace(
        'identities:',
        '  more: { issuer: https://more.example, audiences: [x] }\nidentities:',
      ),
      same,
      'gateway: the exchange does not know the issuer `more`, so it mints for none of its callers — let both `include:` one file with the issuers',
    ],
    [
      'know more issuers at the exchange, for functions and jobs',
      same,
      replace(
        'identities:',
        '  more: { issuer: https://more.example, audiences: [x] }\nidentities:',
      ),
    ],
    [
      'check tokens differently',
      replace('audiences: [api]', 'audiences: [api]\n    maxLifetimeSeconds: 600'),
      same,
      'gateway: `maxLifetimeSeconds` of issuer `main` is not the same at the exchange — say the same in both, best in one file that both `include:`',
    ],
    [
      'ask an issuer about its tokens differently',
      replace('audiences: [api]', `audiences: [api]\n    ${asked('maxCacheSeconds: 1')}`),
      replace('audiences: [api]', `audiences: [api]\n    ${asked('subject: client_id')}`),
      'gateway: `endpoint`, `subject` and `mayOmit` of `introspection` of issuer `main` are not the same at the exchange — say the same in both, best in one file that both `include:`',
    ],
    [
      'ask an issuer about its tokens, each as itself and with its own memory',
      replace('audiences: [api]', `audiences: [api]\n    ${asked('maxCacheSeconds: 1')}`),
      replace('audiences: [api]', `audiences: [api]\n    ${asked('maxCached: 100')}`),
    ],
    [
      'take other credentials of legacy callers',
      replace('issuers: [main]', 'legacy: [api_key, basic]'),
      (text) => `${text}legacy: { atGateways: [basic] }\n`,
      'gateway: route `orders` takes `api_key`, and the exchange knows nobody by that from gateways — add `api_key` to `legacy.atGateways` of the exchange',
    ],
    [
      'fetch keys at other times',
      replace('audiences: [api]', 'audiences: [api]\n    refreshSeconds: 60'),
      same,
    ],
    [
      'map a caller differently',
      replace('/people/{sub}', '/persons/{sub}'),
      same,
      'gateway: `spiffeId` of identity rule `people` is not the same at the exchange — say the same in both, best in one file that both `include:`',
    ],
    [
      'have other rules',
      replace('name: people', 'name: persons'),
      same,
      'gateway: the exchange does not have the identity rule `persons` — let both `include:` one file with the identities',
      'exchange: the gateway does not have the identity rule `people` — let both `include:` one file with the identities',
    ],
    [
      'ask for an audience that is not minted for',
      replace(
        'upstream: orders\n',
        'upstream: orders\n    identity: { audience: https://orders.example }\n',
      ),
      same,
      'gateway: the exchange mints no token for the audience "https://orders.example" — add it to `audiences` of the exchange',
    ],
    [
      'ask for an audience that is',
      replace(
        'upstream: orders\n',
        'upstream: orders\n    identity: { audience: https://orders.example }\n',
      ),
      replace('gateways:', 'audiences: [https://orders.example]\ngateways:'),
    ],
    [
      'look into the TLS of hosts that are certified',
      inspecting("[api.test, a.wild.test, '*.wild.test', 'x.*.deep.test', '**.of.deep.test']"),
      replace(
        'gateways:',
        "inspection: { hosts: [api.test, '*.wild.test', '**.deep.test'] }\ngateways:",
      ),
    ],
    [
      'look into the TLS of hosts that are not',
      inspecting("[api.test, '**.wild.test', b.a.wild.test, 'x-*.test.test']"),
      replace('gateways:', "inspection: { hosts: [api.test, '*.wild.test'] }\ngateways:"),
      'gateway: the exchange certifies no inspection of "**.wild.test", so nobody gets there — add it to `inspection.hosts` of the exchange',
      'gateway: the exchange certifies no inspection of "b.a.wild.test", so nobody gets there — add it to `inspection.hosts` of the exchange',
      'gateway: the exchange certifies no inspection of "x-*.test.test", so nobody gets there — add it to `inspection.hosts` of the exchange',
    ],
    [
      'look into TLS where nothing is certified',
      inspecting('[api.test]'),
      same,
      'gateway: the exchange certifies no inspection of "api.test", so nobody gets there — add it to `inspection.hosts` of the exchange',
    ],
    [
      'exchange tokens for destinations',
      asking,
      replace('gateways:', 'audiences: [https://orders.example.com]\ngateways:'),
    ],
    [
      'do not exchange tokens for a destination',
      asking,
      same,
      'gateway: the exchange mints no token for the audience "https://orders.example.com" — add it to `audiences` of the exchange',
    ],
  ]

suite('a gateway and an exchange', () => {
  for (const [name, ours, theirs, ...said] of rows)
    test(name, async (t) => {
      const { check } = workspace(t, {
        'gateway.yaml': ours(gateway()),
        'exchange.yaml': theirs(exchange()),
      })
      const { faults, warnings } = await check(['gateway.yaml', 'exchange.yaml'])
      assert.deepEqual(
        [
          ...faults.map((line) => line.replace(/^(\w+)\.yaml:\S+ /, '$1: ')),
          ...warnings.map((line) => line.replace(/^(\w+)\.yaml:\S+ /, '$1: warning: ')),
        ],
        said,
      )
    })

  test('are of two trust domains', async (t) => {
    const { check } = workspace(t, {
      'gateway.yaml': gateway(),
      'exchange.yaml': exchange().replaceAll('mesh.example', 'other.example'),
    })
    const { faults } = await check(['gateway.yaml', 'exchange.yaml'])
    assert.equal(
      faults[0],
      'gateway.yaml:2:14: the trust domain is "mesh.example" here and "other.example" at the exchange — let both `include:` one file that says it',
    )
  })
})

test('each by itself is not compared', async (t) => {
  const { check } = workspace(t, {
    'gateway.yaml': gateway().replace('/people/{sub}', '/persons/{sub}'),
    'exchange.yaml': exchange(),
  })
  assert.deepEqual((await check(['gateway.yaml'])).faults, [])
  assert.deepEqual((await check(['exchange.yaml'])).faults, [])
  assert.equal((await check(['exchange.yaml', 'gateway.yaml'])).faults.length, 1)
})
