import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { exchange, gateway, workspace } from '../workspace.ts'

const self = 'selfService: { issuers: [main] }\n'
const grant = (more: string) =>
  `grants: [{ name: jobs, subjects: [spiffe://mesh.example/people/*], ${more} }]\n`
const sound = `${self}${grant('audiences: [spiffe://mesh.example/orders]')}`
const secretHash = `sha256:${'0'.repeat(64)}`
const clients = (more: string) => `clients: { ${more} }\n`
const byCertificate = (id: string) =>
  `authentication: { method: tls_client_auth, spiffeId: '${id}' }`
const caller = (name: string, id: string) =>
  `${name}: { spiffeId: '${id}', credential: { method: api_key, keyHashes: ['${secretHash}'] } }`
const legacy = (...callers: string[]) => `legacy: { callers: { ${callers.join(', ')} } }\n`

const awsCaller = (name: string, id = 'spiffe://mesh.example/people/a', whom = 'role/nightly') =>
  `${name}: { arn: 'arn:aws:iam::123456789012:${whom}', spiffeId: '${id}' }`
const aws = (...callers: string[]) =>
  `aws: { endpoints: [https://sts.eu-west-1.amazonaws.com], callers: { ${callers.join(', ')} } }\n`

const reviews = (name: string) =>
  `tokenReviews: { ${name}: { url: 'https://kubernetes.default.svc', tokenFile: exchange.yaml } }\n`

/** What stands at the end of the smallest exchange, and what is said of it: nothing of what is right. */
const rows: readonly (readonly [name: string, more: string, ...said: string[]])[] = [
  ['a grant for who brings a platform token', sound],
  [
    'an issuer of self-service that is not there',
    `selfService: { issuers: [mian] }\n${grant('audiences: [x]')}`,
    'there is no issuer `mian` — did you mean `main`?',
  ],
  [
    'an issuer of one-time tokens that are not enough',
    `selfService: { issuers: [main], oneTimeIssuers: [other] }\n${grant('audiences: [x]')}`,
    '`other` is not among `selfService.issuers`',
  ],
  [
    'a grant for itself where nothing is enough',
    grant('audiences: [x]'),
    'grant `jobs` is for whoever brings a platform token, and none is enough',
  ],
  [
    'a grant for a client that is not there',
    grant('to: [batch], audiences: [x]'),
    'there is no client `batch` — add it to `clients`',
  ],
  [
    'a grant of tokens for nobody',
    self + grant('tokens: [jwt-svid]'),
    'grant `jobs` has no `audiences`',
  ],
  [
    'a grant of certificates to a client',
    clients(`batch: { ${byCertificate('spiffe://mesh.example/batch')} }`) +
      grant('to: [batch], tokens: [x509-svid]'),
    'grant `jobs` gives certificates, which one asks for with its own platform token alone',
  ],
  [
    'a grant of Txn-Tokens to who only brings a token',
    self + grant('tokens: [txn-token], scopes: [a]'),
    'grant `jobs` gives Txn-Tokens, which are for clients that prove who they are',
  ],
  [
    'a grant of Txn-Tokens without scopes',
    clients(`batch: { ${byCertificate('spiffe://mesh.example/batch')} }`) +
      grant('to: [batch], tokens: [txn-token]'),
    'grant `jobs` has no `scopes`, and a Txn-Token needs one',
  ],
  [
    'a grant for subjects of another domain',
    `${self}grants: [{ name: jobs, subjects: [spiffe://other.example/*], audiences: [x] }]\n`,
    '`spiffe://other.example/*` is not in the trust domain `mesh.example`, so it is nobody here',
  ],
  [
    'a client that is the gateway',
    clients(`batch: { ${byCertificate('spiffe://mesh.example/gateway')} }`) +
      grant('to: [batch], audiences: [x]'),
    '`spiffe://mesh.example/gateway` is a gateway or the exchange already',
  ],
  [
    'two clients with one certificate',
    clients(
      `batch: { ${byCertificate('spiffe://mesh.example/b')} }, cron: { ${byCertificate('spiffe://mesh.example/b')} }`,
    ) + grant('to: [batch, cron], audiences: [x]'),
    '`spiffe://mesh.example/b` is client `batch` already',
  ],
  [
    'a client that nothing is granted',
    clients(`batch: { ${byCertificate('spiffe://mesh.example/b')} }`),
    'no grant is for client `batch`, so it gets nothing',
  ],
  [
    'a legacy caller, and a grant for itself',
    legacy(caller('printer', 'spiffe://mesh.example/legacy/printer')) +
      grant('audiences: [spiffe://mesh.example/orders]'),
  ],
  [
    'a legacy caller that is not marked',
    legacy(caller('printer', 'spiffe://mesh.example/printer')),
    '`spiffe://mesh.example/printer` does not say that `printer` is a legacy caller',
  ],
  [
    'a legacy caller of another domain',
    legacy(caller('printer', 'spiffe://other.example/legacy/printer')),
    '`spiffe://other.example/legacy/printer` is not in the trust domain `mesh.example`',
  ],
  [
    'a legacy caller with the name of a client',
    clients(`batch: { ${byCertificate('spiffe://mesh.example/b')} }`) +
      grant('to: [batch], audiences: [x]') +
      legacy(caller('batch', 'spiffe://mesh.example/legacy/batch')),
    '`batch` is the name of somebody else in records and grants',
  ],
  [
    'two legacy callers that would be one',
    legacy(
      caller('a', 'spiffe://mesh.example/legacy/x'),
      caller('b', 'spiffe://mesh.example/legacy/x'),
    ),
    '`spiffe://mesh.example/legacy/x` is caller `a` already',
  ],
  [
    'a signed request that nothing can check',
    `legacy: { callers: { a: { spiffeId: 'spiffe://mesh.example/legacy/a', credential: { method: signed_request } } } }\n`,
    'a signed request is checked by either a public key or a shared secret',
  ],
  [
    'a review of tokens of nobody',
    reviews('other'),
    'there is no issuer `other` whose tokens could be reviewed',
  ],
  [
    'a review of tokens of no cluster',
    reviews('main'),
    'tokens of issuer `main` are not those of a cluster',
  ],
  ['a grant for callers of AWS', aws(awsCaller('nightly')) + grant('audiences: [x]')],
  [
    'two callers of AWS that are one',
    aws(awsCaller('a'), awsCaller('b')),
    '`arn:aws:iam::123456789012:role/nightly` is caller `a` already',
  ],
  [
    'a caller of AWS by the path of its role, which nobody is told',
    aws(awsCaller('a', 'spiffe://mesh.example/people/a', 'role/ops/nightly')),
    'STS does not tell the path of a role',
  ],
  [
    'a caller of AWS of another domain',
    aws(awsCaller('a', 'spiffe://other.example/a')),
    '`spiffe://other.example/a` is not in the trust domain `mesh.example`',
  ],
  [
    'a caller of AWS that would be the exchange',
    aws(awsCaller('a', 'spiffe://mesh.example/exchange')),
    '`spiffe://mesh.example/exchange` is a gateway or the exchange',
  ],
  [
    'another server in the place of STS',
    aws(awsCaller('a')).replace('sts.eu-west-1.amazonaws.com', 'sts.amazonaws.com.evil.example'),
    '`sts.amazonaws.com.evil.example` is no STS endpoint of AWS',
  ],
  [
    'an STS endpoint with a path',
    aws(awsCaller('a')).replace('amazonaws.com', 'amazonaws.com/sts'),
    'has a path, and STS is asked at `/`',
  ],
]

suite('who may have what at the exchange', () => {
  for (const [name, more, ...said] of rows)
    test(name, async (t) => {
      const { check } = workspace(t, { 'exchange.yaml': exchange(more) })
      const { faults, warnings } = await check(['exchange.yaml'])
      const words = [...faults, ...warnings.map((warning) => warning.replace(/^\S+ warning: /, ''))]
      assert.equal(words.length, said.length, words.join('\n'))
      for (const [i, text] of said.entries()) assert.ok(words[i]?.includes(text), words[i])
    })
})

test('a gateway that starts by the exchange needs a join token or that of a platform, and not both', async (t) => {
  for (const [identity, said] of [
    ['{ source: exchange, tokenFile: token }', undefined],
    ['{ source: exchange }', 'neither `joinTokenFile` nor `tokenFile` stands here'],
    [
      '{ source: exchange, joinTokenFile: join, tokenFile: token }',
      '`joinTokenFile` and `tokenFile` stand here together',
    ],
  ] as const) {
    const text = gateway().replace('{ source: exchange, joinTokenFile: join }', identity)
    const { check } = workspace(t, { 'gateway.yaml': text })
    const { faults } = await check(['gateway.yaml'])
    if (said === undefined) assert.deepEqual(faults, [])
    else assert.ok(faults.join('\n').includes(said), faults.join('\n'))
  }
})
