import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { gateway, workspace } from '../workspace.ts'

const listener =
  'listeners:\n  egress: { tls: { certificates: [{ certificateFile: tls/server.pem, keyFile: tls/server.key.pem }] } }\n'
const rule = (more = '', id = 'shop', workload = 'spiffe://mesh.example/ns/shop/*') =>
  `    - { id: ${id}, team: shop, workloads: ['${workload}']${more} }\n`
const withEgress = (section: string) =>
  gateway().replace('listeners:\n', listener) + `egress:\n${section}`
const rules = (...lines: string[]) => `  rules:\n${lines.join('')}`
const withCredential = (
  destination: string,
  credential = 'api: { kind: bearer, token: { env: API_TOKEN } }',
) =>
  withEgress(
    `  credentials:\n    ${credential}\n${rules(rule(`, destinations: [${destination}]`))}`,
  )
const deny = (entry: string) =>
  withEgress(`  deny:\n    - { id: wide, ${entry} }\n${rules(rule())}`)

const rows: readonly (readonly [name: string, text: string, ...said: string[]])[] = [
  ['a sound one', withEgress(rules(rule(', destinations: [{ hosts: [api.stripe.com] }]')))],
  [
    'a section without its listener',
    `${gateway()}egress:\n${rules(rule())}`,
    '`egress` says where workloads may go, and there is no `listeners.egress`',
  ],
  [
    'a listener without its section',
    gateway().replace('listeners:\n', listener),
    '`listeners.egress` is there, and no `egress` says where anyone may go',
  ],
  [
    'two rules of one name',
    withEgress(rules(rule(), rule('', 'shop', 'spiffe://mesh.example/ns/other/*'))),
    'another entry of `egress` is called `shop` too',
  ],
  [
    'two rules for one workload',
    withEgress(rules(rule(), rule('', 'more', 'spiffe://mesh.example/ns/*/web'))),
    'and neither is closer',
  ],
  [
    'a workload of elsewhere',
    withEgress(rules(rule('', 'shop', 'spiffe://other.example/x'))),
    '`spiffe://other.example/x` is not of the trust domain `mesh.example`',
  ],
  [
    'paths within TLS',
    withEgress(rules(rule(', destinations: [{ hosts: [api.stripe.com], paths: [/v1] }]'))),
    '`paths` cannot be seen in a tunnel with `protocol: tls`',
  ],
  [
    'a wildcard for all there is',
    withEgress(rules(rule(", destinations: [{ hosts: ['*.com'] }]"))),
    'is a wildcard for a whole top-level domain',
  ],
  ...["hosts: ['**.mesh.example']", 'hosts: [exchange.mesh.example], ports: [8444]'].map(
    (entry) =>
      [
        `a denial that cuts the exchange off: ${entry}`,
        deny(entry),
        '`deny` entry `wide` closes `exchange.mesh.example:8444` to all workloads',
      ] as const,
  ),
  [
    'one that cuts off the collector by its address',
    `${deny('networks: [10.0.0.0/8]')}tracing: { endpoint: 'https://10.1.2.3:4318/v1/traces' }\n`,
    '`deny` entry `wide` closes `10.1.2.3:4318` to all workloads: that is the collector of telemetry',
  ],
  [
    'what is indispensable, and neither closed nor left out',
    withEgress(
      `  indispensable: ['syslog.my.internal:6514', 'otel.my.internal:443']\n  deny: [{ id: wide, hosts: ['*.internal.example'] }]\n  allow: [{ hosts: [syslog.my.internal], protocol: tcp, ports: [6514] }]\n${rules(rule(", destinations: [{ hosts: ['*.my.internal'] }]"))}`,
    ),
  ],
  [
    'what is indispensable, and closed or left out',
    withEgress(
      `  indispensable: ['syslog.my.internal:6514', 'otel.my.internal:443', '10.1.2.3:4317']\n  deny: [{ id: wide, hosts: ['**.my.internal'], ports: [443] }, { id: net, networks: [10.0.0.0/8] }]\n  allow: [{ networks: [10.1.0.0/16], protocol: tcp, ports: [4317] }]\n${rules(rule(", destinations: [{ hosts: ['*.my.internal'] }]"))}`,
    ),
    '`deny` entry `wide` closes `otel.my.internal:443` to all workloads: that is indispensable',
    '`deny` entry `net` closes `10.1.2.3:4317` to all workloads: that is indispensable',
    'rule `shop` does not let its workloads go to `syslog.my.internal:6514`, which is indispensable',
  ],
  [
    'what is indispensable, without its port',
    withEgress(`  indispensable: [syslog.my.internal]\n${rules(rule())}`),
    'does not name a port',
  ],
  [
    'requirements that nobody asks about',
    withEgress(rules(rule(', policy: { requires: { kinds: [mesh] } }'))),
    'rule `shop` tells the policy what it requires, and `egress.policy` is not there',
  ],
  [
    'requirements that the policy is asked about',
    withEgress(`  policy: {}\n${rules(rule(', policy: { requires: { kinds: [mesh] } }'))}`),
  ],
  [
    'a credential',
    withCredential('{ hosts: [api.example.com], protocol: https, credential: api }'),
  ],
  [
    'a credential for requests within inspected TLS',
    withCredential('{ hosts: [api.example.com], protocol: tls-inspected, credential: api }'),
  ],
  [
    'a credential over plain HTTP',
    withCredential('{ hosts: [api.example.com], protocol: http, credential: api }'),
    'credential `api` cannot go out with `protocol: http`',
  ],
  [
    'a credential in a tunnel',
    withCredential('{ hosts: [api.example.com], credential: api }'),
    'credential `api` cannot go out with `protocol: tls`',
  ],
  [
    'a credential for a wildcard',
    withCredential("{ hosts: ['*.example.com'], protocol: https, credential: api }"),
    'credential `api` would go to whoever has a host of `*.example.com`',
  ],
  [
    'a credential for a network',
    withCredential("{ networks: ['192.0.2.0/24'], protocol: https, credential: api }"),
    'credential `api` would go to whoever has a host of `networks`',
  ],
  [
    'a credential for a wildcard that was owned up to',
    `${withCredential("{ hosts: ['*.example.com'], protocol: https, credential: api }")}unsafe: { wildcardCredentials: [api] }\n`,
  ],
  [
    'a credential that is not there',
    withCredential('{ hosts: [api.example.com], protocol: https, credential: apo }'),
    'there is no credential `apo` — did you mean `api`?',
  ],
  [
    'a secret in the configuration',
    withCredential(
      '{ hosts: [api.example.com], protocol: https, credential: api }',
      'api: { kind: bearer, token: sk_live_1 }',
    ),
    'a secret does not stand in the configuration',
  ],
  [
    'a secret in two places',
    withCredential(
      '{ hosts: [api.example.com], protocol: https, credential: api }',
      'api: { kind: bearer, token: { file: tls/server.pem, env: TOKEN } }',
    ),
    'a secret stands in one place',
  ],
  [
    'a credential in a header that frames requests',
    withCredential(
      '{ hosts: [api.example.com], protocol: https, credential: api }',
      'api: { kind: header, header: transfer-encoding, value: { env: TOKEN } }',
    ),
    '"transfer-encoding" cannot stand here',
  ],
  [
    'bodies unsigned where that is not taken',
    withCredential(
      '{ hosts: [api.example.com], protocol: https, credential: api }',
      'api: { kind: aws-sigv4, region: eu-central-1, service: sqs, accessKeyId: { env: A }, secretAccessKey: { env: B }, payload: unsigned }',
    ),
    'only `s3` does',
  ],
  ['one of another port', deny('hosts: [exchange.mesh.example], ports: [443]')],
  ['one of other names', deny("hosts: ['*.elsewhere.example']")],
]

suite('what check says of the way out', () => {
  for (const [name, text, ...said] of rows)
    test(name, async (t) => {
      const { faults } = await workspace(t, {
        'gateway.yaml': text.replace(
          /url: https:\/\/\S+?(?=[,\s}])/,
          'url: https://exchange.mesh.example:8444',
        ),
      }).check(['gateway.yaml'])
      assert.equal(faults.length, said.length, faults.join('\n'))
      for (const [i, part] of said.entries()) assert.ok(faults[i]?.includes(part), faults[i])
    })
})
