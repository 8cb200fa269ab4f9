import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { exchange, gateway, workspace } from './workspace.ts'

type Said = readonly [at: string, said: string]

/**
 * A change to the smallest gateway, and all that is said of it, in whole sentences, for the words are the point. A fault
 * stands where the first text of its pair begins.
 */
const rows: readonly (readonly [name: string, from: string, to: string, ...said: Said[]])[] = [
  [
    'a misspelt key',
    'listeners:',
    'lisseners:',
    ['lisseners', 'unknown key `lisseners` — did you mean `listeners`?'],
  ],
  [
    'an unknown key that is like no other',
    'listeners:',
    'listeners:\n  admin: { colour: red }',
    ['colour', 'unknown key `colour` — take it out; known here: `host` and `port`'],
  ],
  [
    'a route without authentication',
    '    authenticate: { issuers: [main] }\n',
    '',
    [
      'id: orders',
      '`authenticate` is missing — say whose tokens are accepted with `authenticate: { issuers: [NAME] }`, or `authenticate: none` to let strangers in',
    ],
  ],
  [
    'authentication by a word that is none',
    '{ issuers: [main] }',
    'non',
    ['non\n', '`authenticate`: "non" is not what stands here — did you mean `none`?'],
  ],
  [
    'authentication by a boolean',
    '{ issuers: [main] }',
    'false',
    [
      'false',
      '`authenticate`: "false" is not what stands here — write `none`, or a mapping with `issuers` and `legacy`',
    ],
  ],
  [
    'a path of no kind',
    '{ prefix: /orders }',
    '/orders',
    [
      '/orders }\n    auth',
      '`path`: "/orders" is not what stands here — write a mapping with `exact`, `prefix` or `pattern`',
    ],
  ],
  [
    'a path of a misspelt kind',
    '{ prefix: /orders }',
    '{ prefx: /orders }',
    ['prefx', 'unknown key `prefx` — did you mean `prefix`?'],
  ],
  [
    'a path of two kinds',
    '{ prefix: /orders }',
    '{ prefix: /orders, exact: /orders }',
    ['{ prefix', '`path`: `exact` and `prefix` stand here together — keep one of them'],
  ],
  [
    'a path that no request has',
    '{ prefix: /orders }',
    '{ prefix: /orders/../admin }',
    [
      '/orders/..',
      '`prefix`: "/orders/../admin" has a dot segment — requests with one never get here: write the path out',
    ],
  ],
  [
    'an identity from nowhere',
    '{ source: exchange, joinTokenFile: join }',
    '{ source: vault }',
    [
      'vault',
      '`source`: "vault" is not one of `exchange`, `files` and `workload-api` — say `exchange`, `files` or `workload-api`',
    ],
  ],
  [
    'an identity of one kind with the keys of the other',
    '{ source: exchange, joinTokenFile: join }',
    '{ source: exchange, keyFile: tls/server.key.pem }',
    [
      'identity: {',
      'neither `joinTokenFile` nor `tokenFile` stands here, so the gateway could not say who it is — add `joinTokenFile`, or in Kubernetes `tokenFile` with the projected token',
    ],
    [
      'keyFile',
      'unknown key `keyFile` — take it out; known here: `source`, `joinTokenFile`, `svidFile` and `tokenFile`',
    ],
  ],
  [
    'an upstream that could be anyone',
    ', spiffeId: spiffe://mesh.example/orders }',
    ' }',
    [
      'orders: {',
      '`spiffeId` is missing — name who must answer there, such as `spiffeId: spiffe://TRUST_DOMAIN/orders`: an upstream that could be anyone gets no request',
    ],
  ],
  [
    'an upstream over plain HTTP',
    'https://127.0.0.1:9001',
    'http://127.0.0.1:9001',
    ["'http:", '`endpoints`: "http://127.0.0.1:9001" is not https — write `https://`'],
  ],
  [
    'a SPIFFE ID with a slash at its end',
    'spiffe://mesh.example/orders',
    'spiffe://mesh.example/orders/',
    [
      'spiffe://mesh.example/orders/',
      '`spiffeId`: "spiffe://mesh.example/orders/" ends in a slash — take the slash at the end out',
    ],
  ],
  [
    'a number that is too large',
    'ingress:\n',
    'ingress:\n    port: 84430\n',
    ['84430', '`port`: "84430" is too large — use 65535 or less'],
  ],
  [
    'text where a number belongs',
    'ingress:\n',
    'ingress:\n    port: https\n',
    ['https\n', '`port`: "https" is not a whole number — write a whole number'],
  ],
  [
    'a number where text belongs',
    'team: shop',
    'team: 7',
    ['7\n', '`team`: "7" is not text — put it in quotes: "7"'],
  ],
  [
    'one thing where a list belongs',
    'issuers: [main]',
    'issuers: main',
    ['main }\n', '`issuers`: "main" is not a list — write a list: [A, B]'],
  ],
  [
    'a key with nothing after it',
    'team: shop',
    'team: ',
    ['\n    match', '`team`: nothing stands here — write text'],
  ],
  [
    'an empty list',
    'issuers: [main]',
    'issuers: []',
    [
      'authenticate: { issuers: []',
      'route `orders` does not say whom it lets in — name `issuers` or `legacy` credentials, or write `authenticate: none` to let strangers in',
    ],
  ],
  [
    'one thing twice in a list',
    'issuers: [main]',
    'issuers: [main, main]',
    ['main] }\n', '`issuers`: this stands in the list twice — keep one of the two'],
  ],
  [
    'a name with a capital',
    'id: orders',
    'id: Orders',
    [
      'Orders',
      '`id`: "Orders" cannot stand here — use up to 63 lower-case letters, digits, `.`, `_` and `-`, beginning with a letter or digit',
    ],
  ],
  [
    'a map with a key that is no name',
    'upstreams:\n',
    'upstreams:\n  Bad Name: {}\n',
    [
      'Bad Name',
      '`Bad Name` cannot be a name here — use up to 63 lower-case letters, digits, `.`, `_` and `-`, beginning with a letter or digit',
    ],
  ],
  [
    'an algorithm that is misspelt',
    'audiences: [api]',
    'audiences: [api]\n    algorithms: [ES265]',
    ['ES265', '`algorithms`: "ES265" is not known here — did you mean `ES256`?'],
  ],
  [
    'a wildcard in the middle of a host',
    'hosts: [api.example]',
    "hosts: ['api.*.example']",
    [
      "'api.*",
      '`hosts`: "api.*.example" has a `*` that is not its whole first label — write `*.example.com`',
    ],
  ],
  [
    'a version that is not known',
    'version: 1',
    'version: 2',
    ['2\n', '`version`: "2" is not known here — use `1`'],
  ],
  [
    'a template that no claim can make a SPIFFE ID',
    '/people/{sub}',
    '/people/{sub}{tenant}',
    [
      'spiffe://mesh.example/people',
      '`spiffeId`: "spiffe://mesh.example/people/{sub}{tenant}" has two claims in one segment, so two callers could get one ID — put a slash between them',
    ],
  ],
  [
    'a secret that stands in the configuration',
    'routes:',
    'limits: { store: { redis: { url: hunter2 } } }\nroutes:',
    [
      'hunter2',
      '`url`: a secret does not stand in the configuration — put it into a file of its own and write `{ file: PATH }`',
    ],
  ],
]

suite('a fault of shape says what is wrong, where, and what to do', () => {
  for (const [name, from, to, ...said] of rows)
    test(name, async (t) => {
      assert.equal(gateway().split(from).length, 2, 'the change must change one thing')
      const text = gateway().replace(from, to)
      const { check } = workspace(t, { 'gateway.yaml': text })
      assert.deepEqual(
        (await check(['gateway.yaml'])).faults,
        said.map(([at, words]) => `gateway.yaml:${position(text, at)}: ${words}`),
      )
    })
})

const position = (text: string, at: string): string => {
  const before = text.slice(0, text.indexOf(at)).split('\n')
  return `${before.length}:${(before.at(-1)?.length ?? 0) + 1}`
}

test('the smallest configurations have no faults', async (t) => {
  const { check } = workspace(t, { 'gateway.yaml': gateway(), 'exchange.yaml': exchange() })
  assert.deepEqual(await check(['gateway.yaml', 'exchange.yaml']), { faults: [], warnings: [] })
})

test('all faults are told at once: of shape, of references, of files', async (t) => {
  const { check } = workspace(t, {
    'gateway.yaml': gateway('drainSecond: 5\n')
      .replace('upstream: orders\n', 'upstream: oders\n')
      .replace('bundle.tar.gz', 'bundle.tgz')
      .replace('team: shop', 'team: Shop!')
      .replace(
        'routes:\n',
        'routes:\n  - { id: other, team: a, match: { hosts: [a.example], path: { exact: / } }, authenticate: none, upstream: odders }\n',
      ),
  })
  const { faults } = await check(['gateway.yaml'])
  assert.deepEqual(
    faults.map((fault) => fault.replace(/^\S+ (.*) — .*/s, '$1')),
    [
      '"bundle.tgz" does not exist',
      'there is no upstream `odders`',
      '`team`: "Shop!" cannot stand here',
      'there is no upstream `oders`',
      'unknown key `drainSecond`',
    ],
  )
})

test('what an environment variable holds is not shown', async (t) => {
  const secretive = 'hunter2-hunter2'
  const { check } = workspace(t, {
    'gateway.yaml': gateway()
      .replace('upstream: orders\n', 'upstream: ${SECRETIVE}\n')
      .replace('team: shop', 'team: "Team ${SECRETIVE}"')
      .replace('{ prefix: /orders }', '"${SECRETIVE}"')
      .replace('source: exchange', 'source: "${SECRETIVE}"')
      .replace('spiffe://mesh.example/orders', '"${SECRETIVE}"'),
  })
  const { faults } = await check(['gateway.yaml'], { SECRETIVE: secretive })
  assert.equal(faults.length, 5)
  for (const fault of faults) {
    assert.ok(!fault.includes(secretive), fault)
    assert.ok(fault.includes('${SECRETIVE}'), fault)
  }
})

test('the password of a URL is not shown', async (t) => {
  const { check } = workspace(t, {
    'gateway.yaml': gateway('limits: { store: { redis: { url: "redis://:hunter2@127.0.0.1" } } }\n')
      .replace('https://127.0.0.1:9001', 'https://user:hunter2@127.0.0.1:9001')
      .replace('caFile: ca.pem', 'caFile: "https://user:hunter2@127.0.0.1/ca.pem"'),
  })
  const { faults } = await check(['gateway.yaml'])
  assert.equal(faults.length, 3)
  for (const fault of faults) assert.ok(!fault.includes('hunter2'), fault)
})
