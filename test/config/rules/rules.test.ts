import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { exchange, gateway, workspace } from '../workspace.ts'

type Row = readonly [name: string, change: (text: string) => string, ...said: string[]]

const replace = (from: string, to: string) => (text: string) => {
  assert.ok(text.includes(from), `${from} is not there`)
  return text.replace(from, to)
}
const add = (more: string) => (text: string) => text + more
const asked = (endpoint: string) =>
  `introspection: { endpoint: ${endpoint}, authentication: { method: client_secret_basic, clientId: us, secret: { file: tls/server.pem } } }`
const shared = '{ redis: { url: { file: tls/server.pem } } }'

const other =
  '{ directory: run, trustDomains: { other.example: { bundleEndpoint: { profile: https_web, url: https://other.example/bundle } } } }'

const route = (id: string, path: string, more = '') =>
  `  - { id: ${id}, team: shop, match: { hosts: [api.example], path: { exact: ${path} } }, authenticate: none, upstream: orders${more} }\n`

/** Changes to the smallest gateway; a line that begins with `warning` is one. */
const gatewayRows: readonly Row[] = [
  [
    'a route to an upstream that is not there',
    replace('upstream: orders', 'upstream: ordres'),
    'there is no upstream `ordres` — did you mean `orders`?',
  ],
  [
    'a route for an issuer that is not there',
    replace('issuers: [main]', 'issuers: [elsewhere]'),
    'there is no issuer `elsewhere` — add it to `issuers`, or use `main`',
  ],
  [
    'an upstream named like what every object has',
    replace('upstream: orders', 'upstream: constructor'),
    'there is no upstream `constructor` — add it to `upstreams`, or use `orders`',
  ],
  [
    'an identity rule for an issuer that is not there',
    replace('issuer: main', 'issuer: mian'),
    'there is no issuer `mian` — did you mean `main`?',
  ],
  [
    'a route for an issuer whose callers nobody maps',
    (text) =>
      replace(
        'identities:',
        '  other: { issuer: https://other.example, audiences: [x] }\nidentities:',
      )(replace('issuers: [main]', 'issuers: [main, other]')(text)),
    'warning: no identity rule is for issuer `other`, so route `orders` refuses all callers of it — add a rule to `identities`',
  ],
  [
    'two routes with one id',
    add(route('orders', '/x')),
    'routes[0] has the id `orders` too — give each route its own',
  ],
  [
    'gRPC to an upstream that is only spoken to in HTTP/1.1',
    (text) =>
      replace('orders: { endpoints', 'orders: { protocol: http1, endpoints')(text) +
      route('echo', '/echo', ', grpc: {}'),
    'route `echo` serves gRPC, which needs HTTP/2, and its upstream `orders` is only spoken to in HTTP/1.1 — take `protocol: http1` out of the upstream',
  ],
  [
    'gRPC where callers are only offered HTTP/1.1',
    (text) =>
      replace('ingress:', 'ingress:\n    http2: { offered: false }')(text) +
      route('echo', '/echo', ', grpc: {}'),
    'route `echo` serves gRPC, which needs HTTP/2, and callers are only offered HTTP/1.1 — take `offered: false` out of `listeners.ingress.http2`',
  ],
  [
    'cookies for the pages of every origin',
    add(route('open', '/open', ", cors: { origins: ['*'], credentials: true }")),
    'route `open` lets pages of every origin call with the cookies of whoever looks at them; no browser does that — name the origins, or take `credentials` out',
  ],
  [
    'a method for pages of other origins that the route does not take',
    add(
      "  - { id: open, team: shop, match: { hosts: [api.example], path: { exact: /open }, methods: [GET] }, authenticate: none, upstream: orders, cors: { origins: ['*'], methods: [GET, PUT] } }\n",
    ),
    'route `open` offers `PUT` to pages of other origins and does not take it — add it to `match.methods`, or take it out',
  ],
  [
    'two issuers with one `iss`',
    replace(
      'identities:',
      '  other: { issuer: https://login.example, audiences: [x] }\nidentities:',
    ),
    'issuers.main has the issuer `https://login.example` too — give each issuer its own',
  ],
  [
    'opaque tokens that would be sent over plain HTTP, and keys that nobody would use',
    replace(
      'audiences: [api]',
      `audiences: [api]\n    jwksUrl: https://login.example/keys\n    platform: azure\n    ${asked('http://login.example/introspect')}`,
    ),
    'issuer `main` is asked about its tokens by `introspection`, so its keys are not used — keep one of the two',
    'issuer `main` has `introspection`, and tokens of azure are checked by its keys — take one of the two out',
    'tokens of issuer `main` would be sent over plain HTTP, where anyone on the way can take them — use https, or own up to it with `unsafe: { plainHttpIssuers: [main] }`',
  ],
  [
    'a route for opaque tokens of two issuers',
    (text) =>
      replace(
        'identities:',
        `  other:\n    issuer: https://other.example\n    audiences: [x]\n    ${asked('https://other.example/introspect')}\nidentities:`,
      )(
        replace(
          'audiences: [api]',
          `audiences: [api]\n    ${asked('https://login.example/introspect')}`,
        )(replace('issuers: [main]', 'issuers: [main, other]')(text)),
      ),
    'route `orders` takes tokens of `main` and of `other`, and an opaque token does not say which of them to ask — make a route for each',
    'warning: no identity rule is for issuer `other`, so route `orders` refuses all callers of it — add a rule to `identities`',
  ],
  [
    'a route that lets in nobody',
    replace('authenticate: { issuers: [main] }', 'authenticate: {}'),
    'route `orders` does not say whom it lets in — name `issuers` or `legacy` credentials, or write `authenticate: none` to let strangers in',
  ],
  [
    'legacy credentials that cannot come, or are not what the route wants',
    replace(
      'authenticate: { issuers: [main] }',
      'authenticate: { issuers: [main], bound: required, legacy: [client_certificate] }',
    ),
    'route `orders` wants tokens that are bound to a key, and takes credentials that are bound to nothing — take one of `bound` and `legacy` out',
    'route `orders` takes client certificates, and the listener asks nobody for one — write `listeners.ingress.tls.clientCertificates: {}`',
  ],
  ['a route for legacy callers alone', replace('issuers: [main]', 'legacy: [api_key, basic]')],
  [
    'a certificate that would be kept and never used',
    replace('joinTokenFile: join', 'tokenFile: token, svidFile: svid.json'),
    'with `tokenFile` every certificate is asked for by the token of the platform, so none is kept — take one of the two out',
  ],
  [
    'an upstream of another trust domain',
    replace('spiffe://mesh.example/orders', 'spiffe://other.example/orders'),
    '"spiffe://other.example/orders" is not in the trust domain "mesh.example" — name an ID that begins with spiffe://mesh.example/, or its trust domain in `federation`',
  ],
  [
    'an identity of another trust domain',
    replace('spiffe://mesh.example/people/{sub}', 'spiffe://mesh.examples/people/{sub}'),
    '"spiffe://mesh.examples/people/x" is not in the trust domain "mesh.example" — name an ID that begins with spiffe://mesh.example/',
  ],
  [
    'callers of another trust domain',
    (text) =>
      `${replace('    issuer: https://login.example\n', '    issuer: spiffe://other.example\n    platform: spiffe\n')(text)}federation: ${other}\n`,
  ],
  [
    'callers of a trust domain whose bundle nobody gives',
    replace(
      '    issuer: https://login.example\n',
      '    issuer: spiffe://other.example\n    platform: spiffe\n',
    ),
    'the keys of issuer `main` cannot be known: nobody gives the bundle of `other.example` — name `other.example` in `federation.trustDomains`',
  ],
  [
    'callers of our own trust domain as if of another',
    replace(
      '    issuer: https://login.example\n',
      '    issuer: spiffe://mesh.example\n    platform: spiffe\n',
    ),
    'issuer `main` is our own trust domain — name the `issuer` of the exchange for its tokens, with `jwksUrl`',
  ],
  [
    'a trust domain with keys of its own',
    (text) =>
      `${replace('    audiences: [api]', '    platform: spiffe\n    jwksUrl: https://login.example/keys\n    audiences: [api]')(text)}federation: ${other}\n`,
    'the issuer of `main` is no trust domain — write `spiffe://NAME`',
    'issuer `main` is a trust domain, whose keys are in its bundle — take it out: `federation` says where the bundle is',
  ],
  [
    'a template that could make a caller the exchange',
    replace('/people/{sub}', '/{sub}'),
    'identity rule `people` can give a caller the ID `spiffe://mesh.example/gateway`, which is ours — put a segment of its own before what comes from a claim, such as `/callers/{sub}`',
  ],
  ['a rule that names the gateway on purpose', replace('/people/{sub}', '/gateway')],
  [
    'keys over plain HTTP',
    replace('issuer: https://login.example', 'issuer: http://login.example'),
    'the keys of issuer `main` would be fetched over plain HTTP, where anyone on the way can replace them — use https, or own up to it with `unsafe: { plainHttpIssuers: [main] }`',
  ],
  [
    'keys over plain HTTP, owned up to',
    (text) =>
      add('unsafe: { plainHttpIssuers: [main] }\n')(
        replace(
          'audiences: [api]',
          'audiences: [api]\n    jwksUrl: http://login.example/keys',
        )(text),
      ),
    'warning: the keys of issuer `main` may come over plain HTTP: anyone on the way can make tokens that are accepted — use https before this serves anyone but you',
  ],
  [
    'keys that nobody knows where to find',
    replace('issuer: https://login.example', 'issuer: our-login'),
    'the keys of issuer `main` cannot be found: its `issuer` is no URL to discover them at — add `jwksUrl` or `jwksFile`',
  ],
  [
    'keys in two places',
    replace(
      'audiences: [api]',
      'audiences: [api]\n    jwksUrl: https://a.example\n    jwksFile: keys.json',
    ),
    'issuer `main` has both `jwksUrl` and `jwksFile` — keep one of the two',
  ],
  [
    'keys that are too old before they are fetched again',
    replace(
      'audiences: [api]',
      'audiences: [api]\n    refreshSeconds: 600\n    maxStaleSeconds: 300',
    ),
    'the keys of issuer `main` are too old after 300 s and fetched again only after 600 s — raise `maxStaleSeconds` above `refreshSeconds`',
  ],
  [
    'an admin listener that is open to the network',
    replace('listeners:', 'listeners:\n  admin: { host: 0.0.0.0 }'),
    'warning: the admin listener is open to the network on "0.0.0.0" — use 127.0.0.1, or let a network policy keep everyone but operators out',
  ],
  [
    'two listeners that want one port',
    replace('listeners:', 'listeners:\n  admin: { port: 8443 }'),
    'the listeners `admin` and `ingress` both want port 8443 — give one of them another port',
  ],
  [
    'a head that may take longer than its request',
    replace(
      'ingress:\n',
      'ingress:\n    limits: { headersTimeoutMs: 9000, requestTimeoutMs: 8000 }\n',
    ),
    'a head may take 9000 ms, longer than the 8000 ms of its whole request — lower `headersTimeoutMs` or raise `requestTimeoutMs`',
  ],
  [
    'a limit for callers on a route that knows none',
    add(route('open', '/open', ', limits: { caller: { points: 5 } }')),
    'route `open` limits each caller, and with `authenticate: none` it knows none — use `limits: { route: … }`, or the `limits: { address: … }` of the gateway',
  ],
  [
    'a client certificate on a route of a listener without roots',
    add(route('closed', '/closed', ', clientCertificate: {}')),
    'route `closed` wants a client certificate, and there is nothing that one could lead to: nobody gets in — name roots with `listeners.ingress.tls.clientCertificates: { rootsFile: … }`',
  ],
  [
    'several workers that would share standard output',
    add(`workers: 2\nquarantine: ${shared}\nreplay: ${shared}\n`),
    '2 workers cannot share standard output: records would be torn — name a file as `audit: { file: … }`',
  ],
  [
    'several workers that would each know others who are cut off',
    add(
      `workers: 2\naudit: { file: records.jsonl }\nquarantine: { file: cut-off.json }\nreplay: ${shared}\n`,
    ),
    'each of 2 workers would have a quarantine of its own: whoever is cut off at one is not at the others — share it: `quarantine: { redis: … }`',
    '2 workers cannot keep one file — leave it out: while Redis is away, a worker that starts refuses all until it knows the list',
  ],
  [
    'several workers that would each remember proofs, and know nonces of their own',
    add(
      `workers: 2\naudit: { file: records.jsonl }\nquarantine: ${shared}\ndpop: { nonce: required }\n`,
    ),
    'each of 2 workers would take a DPoP proof that another took already — have them remember together: `replay: { redis: … }`',
    'each of 2 workers would refuse the nonces of the others — give them one key: `dpop: { nonceKey: … }`',
  ],
  [
    'several workers that count limits in memory',
    add(
      `workers: 3\naudit: { file: records.jsonl }\nlimits: { address: { points: 5 } }\nquarantine: ${shared}\nreplay: ${shared}\n`,
    ),
    'warning: each of 3 workers counts limits for itself, so a caller or workload may get 3 times as much — count in Redis: `limits: { store: { redis: … } }`',
  ],
  [
    'several workers that count the way out in memory',
    (text) =>
      `${text.replace('listeners:\n', 'listeners:\n  egress: { tls: { certificates: [{ certificateFile: tls/server.pem, keyFile: tls/server.key.pem }] } }\n')}workers: 3\naudit: { file: records.jsonl }\nquarantine: ${shared}\nreplay: ${shared}\negress:\n  rules:\n    - { id: shop, team: shop, workloads: [spiffe://mesh.example/ns/shop/*], limits: { requests: { points: 5 }, maxBytesPerDay: 1000 } }\n`,
    'warning: each of 3 workers counts limits for itself, so a caller or workload may get 3 times as much — count in Redis: `limits: { store: { redis: … } }`',
    'warning: each of 3 workers counts the bytes and tunnels of a workload for itself, so one of rule `shop` may move 3 times as much — allow a share of what you mean, or have one worker: these are counted nowhere else',
  ],
  [
    'an upstream that no route leads to',
    replace(
      'upstreams:\n',
      "upstreams:\n  idle: { endpoints: ['https://127.0.0.1:1'], spiffeId: spiffe://mesh.example/idle }\n",
    ),
    'warning: no route leads to the upstream `idle` — add a route, or take it out',
  ],
  [
    'a route on a host that no certificate names',
    replace('hosts: [api.example]', 'hosts: [api.example, other.example]'),
    'warning: no certificate of the listener names `other.example`, so callers will refuse it — add a certificate that does',
  ],
  [
    'a wildcard host under a wildcard certificate',
    (text) =>
      replace(
        'tls/server.key.pem }',
        'tls/server.key.pem }, { certificateFile: tls/wildcard.pem, keyFile: tls/wildcard.key.pem }',
      )(replace('hosts: [api.example]', "hosts: ['*.wild.example']")(text)),
  ],
  [
    'a route that is never reached',
    (text) =>
      add(
        '  - { id: lost, team: shop, match: { hosts: [api.example], path: { prefix: /a/b } }, authenticate: none, upstream: orders }\n',
      )(replace('prefix: /orders', 'pattern: /a/**')(text)),
    'route `lost` is never reached on api.example: route `orders` is tried before it and takes all its requests — narrow that one, or take this one out',
  ],
  [
    'two identity rules for one caller',
    replace(
      'identities:',
      'identities:\n  - { name: admins, issuer: main, match: { azp: admin }, spiffeId: "spiffe://mesh.example/admins/{sub}" }',
    ),
    'identity rules `admins` and `people` can fit the same caller — give both a claim in `match` for which they allow no value in common',
  ],
]

suite('beyond the shape of a gateway', () => {
  for (const [name, change, ...said] of gatewayRows)
    test(name, async (t) => {
      const { check } = workspace(t, { 'gateway.yaml': change(gateway()), 'keys.json': '{}' })
      assert.deepEqual(wordsOf(await check(['gateway.yaml'])), said)
    })
})

const wordsOf = ({ faults, warnings }: { faults: string[]; warnings: string[] }): string[] => [
  ...faults.map((line) => line.replace(/^\S+ /, '')),
  ...warnings.map((line) => line.replace(/^\S+ /, 'warning: ')),
]

suite('files that a gateway names', () => {
  const rows: readonly Row[] = [
    [
      'are not there',
      replace('tls/server.pem', 'tls/sever.pem'),
      '"tls/sever.pem" does not exist — create it, or name another file',
    ],
    ['are a directory', replace('bundle.tar.gz', 'tls'), '"tls" is a directory — name a file'],
    [
      'hold no certificate',
      replace('tls/server.pem', 'tls/make.sh'),
      '"tls/make.sh" holds no certificate that can be read — give it PEM certificates',
    ],
    [
      'hold no key',
      replace('tls/server.key.pem', 'tls/server.pem'),
      '"tls/server.pem" holds no private key that can be read — give it a PEM key without a passphrase',
    ],
    [
      'hold the key of another certificate',
      replace('tls/server.key.pem', 'tls/client.key.pem'),
      '"tls/client.key.pem" is not the key of its `certificateFile` — name the key that belongs to it',
    ],
    [
      'hold keys that are not JSON',
      replace('audiences: [api]', 'audiences: [api]\n    jwksFile: tls/make.sh'),
      '"tls/make.sh" is not JSON — mend it',
    ],
    [
      'are to be written where nothing is',
      add('audit: { file: log/audit.jsonl }\n'),
      '"log/audit.jsonl" would be in "log", which does not exist — create that directory',
    ],
    [
      'are to be written and are a directory',
      add('audit: { file: tls }\n'),
      '"tls" is a directory — name a file',
    ],
    ['may come later', replace('joinTokenFile: join', 'joinTokenFile: not/yet/there')],
    ['can be written', add('audit: { file: audit.jsonl }\n')],
  ]
  for (const [name, change, ...said] of rows)
    test(name, async (t) => {
      const { check } = workspace(t, { 'gateway.yaml': change(gateway()) })
      assert.deepEqual(wordsOf(await check(['gateway.yaml'])), said)
    })

  const asRoot = process.getuid?.() === 0 && 'root may read and write everything'
  test('may not be read', { skip: asRoot }, async (t) => {
    const { at, check } = workspace(t, { 'gateway.yaml': gateway() })
    chmodSync(at('bundle.tar.gz'), 0o000)
    assert.deepEqual(wordsOf(await check(['gateway.yaml'])), [
      '"bundle.tar.gz" cannot be read — give this user the right to read it',
    ])
  })
})

suite('the directory of an exchange', () => {
  for (const [name, make, ...said] of [
    ['may have to be made', () => {}],
    ['may be there', (path: string) => mkdirSync(path)],
    [
      'may not be a file',
      (path: string) => writeFileSync(path, ''),
      '"keys" is not a directory — name a directory',
    ],
  ] as const)
    test(name, async (t) => {
      const { at, check } = workspace(t, {
        'exchange.yaml': exchange('ca: { store: { directory: keys } }\n'),
      })
      make(at('keys'))
      assert.deepEqual(wordsOf(await check(['exchange.yaml'])), said)
    })
})
