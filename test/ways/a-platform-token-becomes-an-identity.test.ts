import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, request } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { createServer as createNetServer, type AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { promisify } from 'node:util'
import { createLocalJWKSet, decodeJwt, jwtVerify, type JSONWebKeySet } from 'jose'
import { stringify } from 'yaml'
import type { AuditEvent } from '#contract/audit-event'
import { noLog } from '#contract/telemetry'
import type { X509SvidAnswer } from '#contract/token-exchange'
import { bundleFile } from '#config/policy/sources'
import { formatFaults, loadConfig } from '#config/load'
import type { Issuer } from '#config/schema'
import { startExchange } from '#exchange/main'
import { startGateway } from '#gateway/main'
import { readSvidLeaf } from '#identity/svid/certificate'
import { makeWebCertificate } from '#test/fakes/https-server'
import type { AwsCredentials } from '#test/fakes/sigv4'
import { runSts } from '#test/fakes/sts-server'
import { runPlatformIssuer, type PlatformIssuer } from '#test/fakes/platform-issuer'

const run = promisify(execFile)
const audience = 'sallyport'
const orders = 'spiffe://mesh.example/ns/shop/sa/orders'

/** Other trust domains: `two-meshes-federate.test.ts`. */
type Platform = Exclude<Issuer['platform'], 'spiffe'>

/** Who the bearer of each platform's token is in the mesh, and by which of its claims. */
const callers: Readonly<Record<Platform, { match: Record<string, string>; spiffeId: string }>> = {
  kubernetes: {
    match: { 'kubernetes.io.serviceaccount.uid': '0d4c1d50-3333-4a6b-8e0b-5a0c8a2f0003' },
    spiffeId: 'spiffe://mesh.example/ns/shop/sa/web',
  },
  github: {
    match: { repository_id: '42', ref: 'refs/heads/main' },
    spiffeId: 'spiffe://mesh.example/jobs/nightly',
  },
  gitlab: { match: { project_id: '22' }, spiffeId: 'spiffe://mesh.example/jobs/gitlab' },
  aws: {
    match: { 'https://sts.amazonaws.com/.aws_account': '123456789012' },
    spiffeId: 'spiffe://mesh.example/jobs/lambda',
  },
  gcp: { match: { sub: '107517467455664443765' }, spiffeId: 'spiffe://mesh.example/jobs/gcp' },
  azure: {
    match: { oid: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee' },
    spiffeId: 'spiffe://mesh.example/jobs/azure',
  },
  'azure-attestation': {
    match: { 'x-ms-azurevm-vmid': '2DEDC52A-6832-46CE-9910-E8C9980BF5A7' },
    spiffeId: 'spiffe://mesh.example/jobs/vault',
  },
  oidc: { match: { sub: 'job-7' }, spiffeId: 'spiffe://mesh.example/jobs/any' },
}
const platforms = Object.keys(callers) as Platform[]
const gatewayAccount = {
  sub: 'system:serviceaccount:sallyport:gateway',
  'kubernetes.io': {
    namespace: 'sallyport',
    serviceaccount: { name: 'gateway', uid: 'uid-of-gateway' },
  },
}

const folder = mkdtempSync(join(tmpdir(), 'sallyport-platforms-'))
const at = (name: string) => join(folder, name)
after(() => rmSync(folder, { recursive: true }))

const issuers = await Promise.all(
  platforms.map((platform) => runPlatformIssuer(platform, audience)),
)
for (const { close } of issuers) after(close)
const issuerOf = (platform: Platform): PlatformIssuer => {
  const found = issuers.find((one) => one.platform === platform)
  assert.ok(found)
  return found
}

/** Of a function whose role is `nightly`, as Lambda puts them into its environment. */
const awsCredentials = {
  accessKeyId: 'ASIAEXAMPLEEXAMPLE00',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  sessionToken:
    'AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXm+LA==',
}
const sts = await runSts([
  {
    credentials: awsCredentials,
    principal: {
      arn: 'arn:aws:sts::123456789012:assumed-role/nightly/nightly-function',
      userId: 'AROAEXAMPLEEXAMPLE00:nightly-function',
      account: '123456789012',
    },
  },
])
after(sts.close)
const awsCaller = 'spiffe://mesh.example/jobs/signed'

const freePort = async () => {
  const server = createNetServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

const exchangePort = await freePort()
const exchangeUrl = `https://localhost:${exchangePort}`
const shared = {
  version: 1,
  trustDomain: 'mesh.example',
  issuers: Object.fromEntries(
    issuers.map(({ platform, url, ca, key }) => {
      writeFileSync(at(`${platform}-ca.pem`), ca)
      const types = platform === 'kubernetes' ? ['none'] : ['JWT']
      const issuer = { issuer: url, platform, audiences: [audience], types }
      return [
        platform,
        { ...issuer, algorithms: [key.alg], caFile: at(`${platform}-ca.pem`), kind: 'serverless' },
      ]
    }),
  ),
  identities: [
    ...platforms.map((platform) => ({ name: platform, issuer: platform, ...callers[platform] })),
    {
      name: 'gateway',
      issuer: 'kubernetes',
      match: { 'kubernetes.io.serviceaccount.uid': 'uid-of-gateway' },
      spiffeId: 'spiffe://mesh.example/gateway',
    },
    {
      name: 'orders',
      issuer: 'kubernetes',
      match: { 'kubernetes.io.serviceaccount.uid': 'uid-of-orders' },
      spiffeId: orders,
    },
  ],
}
/** `mesh`: a gateway brings a token of the exchange itself. */
const policy = { bundleFile, requires: { kinds: ['serverless', 'mesh'] } }
const requires = { policy: { requires: { kinds: ['serverless'] } } }

const load = async <K extends 'gateway' | 'exchange'>(kind: K, config: object) => {
  writeFileSync(at(`${kind}.yaml`), stringify({ ...shared, ...config }))
  const loaded = await loadConfig(kind, at(`${kind}.yaml`), {})
  if (!loaded.ok) throw new Error(formatFaults(loaded.faults))
  return loaded.config
}

mkdirSync(at('keys'), { mode: 0o700 })
writeFileSync(at('sts-ca.pem'), sts.ca)
const exchange = await startExchange(
  await load('exchange', {
    spiffeId: 'spiffe://mesh.example/exchange',
    issuer: exchangeUrl,
    listeners: { exchange: { port: exchangePort }, admin: { port: 0 } },
    ca: { store: { directory: at('keys') } },
    gateways: ['spiffe://mesh.example/gateway'],
    selfService: { issuers: platforms, oneTimeIssuers: ['gitlab'] },
    aws: {
      endpoints: [sts.url],
      caFile: at('sts-ca.pem'),
      callers: { nightly: { arn: 'arn:aws:iam::123456789012:role/nightly', spiffeId: awsCaller } },
    },
    grants: [
      {
        name: 'jobs',
        subjects: ['spiffe://mesh.example/jobs/*', 'spiffe://mesh.example/ns/shop/sa/*'],
        tokens: ['jwt-svid', 'access-token', 'x509-svid'],
        audiences: [orders, 'spiffe://mesh.example/gateway'],
        ...requires,
      },
    ],
    policy,
    limits: { subject: { points: 1000 } },
    drainSeconds: 1,
    audit: { file: at('exchange.jsonl') },
  }),
  { log: noLog },
)
after(exchange.close)
const rootsFile = at('roots.pem')
writeFileSync(rootsFile, exchange.roots())

/** As a person would, in a shell; the README's own commands run this way too. */
const shell = async (
  script: string,
  token: string,
  more: Record<string, string> = {},
): Promise<string> => {
  const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: folder,
    env: { ...process.env, EXCHANGE: exchangeUrl, TOKEN: token, ...more },
    timeout: 120_000,
  })
  return stdout
}
const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')
const [, section = ''] = /^## From a function or a job\n(.*?)^## /ms.exec(readme) ?? []
const [askForToken = '', askForCertificate = '', askByAws = ''] = [
  ...section.matchAll(/^```sh\n(.*?)^```/gms),
].map(([, script = '']) => script)
assert.ok(askForToken.includes('/token') && askForCertificate.includes('/svid/x509'), 'README')
assert.ok(askByAws.includes('aws-caller-identity'), 'README')

/** The service gets its certificate in the same way: its platform's token, and a key that it keeps. */
const ordersToken = issuerOf('kubernetes').token({
  sub: 'system:serviceaccount:shop:orders',
  'kubernetes.io': { namespace: 'shop', serviceaccount: { name: 'orders', uid: 'uid-of-orders' } },
})
const ordersSvid = JSON.parse(await shell(askForCertificate, ordersToken)) as X509SvidAnswer
const service = createServer(
  {
    cert: ordersSvid.x509_svid,
    key: readFileSync(at('key.pem')),
    ca: ordersSvid.bundle,
    requestCert: true,
    rejectUnauthorized: true,
  },
  (req, res) => {
    const peer = (req.socket as TLSSocket).getPeerX509Certificate()
    const { sub, aud } = decodeJwt((req.headers.authorization ?? '').replace('Bearer ', ''))
    res.end(JSON.stringify({ peer: peer?.subjectAltName, sub, aud }))
  },
)
service.listen(0, '127.0.0.1')
await once(service, 'listening')
after(() => {
  service.close()
  service.closeAllConnections()
})

/** The gateway starts by its projected token: no join token anywhere. */
writeFileSync(at('gateway-token'), issuerOf('kubernetes').token(gatewayAccount))
const edge = makeWebCertificate()
writeFileSync(at('edge.pem'), edge.server.pem)
writeFileSync(at('edge.key'), edge.server.keyPem)
const gateway = await startGateway(
  await load('gateway', {
    // Who has no token that ingress takes goes on with one of the exchange.
    issuers: {
      ...shared.issuers,
      mesh: {
        issuer: exchangeUrl,
        audiences: ['spiffe://mesh.example/gateway'],
        types: ['at+jwt'],
        jwksUrl: `${exchangeUrl}/keys`,
        caFile: rootsFile,
        kind: 'serverless',
      },
    },
    identities: [
      ...shared.identities,
      { name: 'signed', issuer: 'mesh', match: { sub: awsCaller }, spiffeId: awsCaller },
    ],
    spiffeId: 'spiffe://mesh.example/gateway',
    identity: { source: 'exchange', tokenFile: at('gateway-token') },
    exchange: {
      url: exchangeUrl,
      spiffeId: 'spiffe://mesh.example/exchange',
      caFile: rootsFile,
      timeoutMs: 10_000, // as the next line: a busy machine is no matter of these tests
    },
    limits: { load: { maxEventLoopDelayMs: 0 } },
    listeners: {
      ingress: {
        port: 0,
        tls: { certificates: [{ certificateFile: at('edge.pem'), keyFile: at('edge.key') }] },
      },
      admin: { port: 0 },
    },
    policy: { bundleFile },
    upstreams: {
      orders: {
        endpoints: [`https://localhost:${(service.address() as AddressInfo).port}`],
        spiffeId: orders,
      },
    },
    routes: [
      {
        id: 'orders',
        team: 'shop',
        match: { hosts: ['localhost'], path: { prefix: '/orders' } },
        authenticate: { issuers: [...platforms, 'mesh'] },
        ...requires,
        upstream: 'orders',
      },
    ],
    drainSeconds: 0,
    audit: { file: at('gateway.jsonl') },
  }),
  { log: noLog, revision: 'test' },
)
after(gateway.close)

const callThroughIngress = async (token: string) => {
  const req = request({
    host: '127.0.0.1',
    port: gateway.ingress.port,
    servername: 'localhost',
    ca: edge.ca,
    path: '/orders/7',
    headers: { host: 'localhost', authorization: `Bearer ${token}` },
  })
  req.end()
  const [res] = (await once(req, 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of res) chunks.push(chunk as Buffer)
  return { status: res.statusCode, body: Buffer.concat(chunks).toString() }
}
const recordsOf = (name: string) =>
  readFileSync(at(name), 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as AuditEvent)

for (const platform of platforms)
  suite(`a token of ${platform}`, () => {
    const { spiffeId } = callers[platform]

    test('goes through ingress, and the service sees the right SPIFFE ID', async () => {
      const { status, body } = await callThroughIngress(issuerOf(platform).token())
      assert.equal(status, 200, body)
      assert.deepEqual(JSON.parse(body), {
        peer: 'URI:spiffe://mesh.example/gateway',
        sub: spiffeId,
        aud: orders,
      })
    })

    test('becomes a JWT-SVID by the README’s curl, which the published keys verify', async () => {
      const answer = JSON.parse(await shell(askForToken, issuerOf(platform).token())) as Record<
        string,
        string
      >
      assert.ok(answer['access_token'], JSON.stringify(answer))
      const keys = JSON.parse(
        await shell('curl --silent --cacert roots.pem "$EXCHANGE/keys"', ''),
      ) as JSONWebKeySet
      const { payload } = await jwtVerify(answer['access_token'], createLocalJWKSet(keys), {
        issuer: exchangeUrl,
        audience: orders,
        subject: spiffeId,
      })
      assert.ok((payload.exp ?? 0) - (payload.iat ?? 0) <= 300)
    })

    test('without what the platform always says is refused at both doors', async () => {
      const { sub } = decodeJwt(issuerOf(platform).token())
      const token = signedWithout(issuerOf(platform), platform, String(sub))
      assert.equal((await callThroughIngress(token)).status, platform === 'oidc' ? 403 : 401)
      const answer = JSON.parse(await shell(askForToken, token)) as Record<string, string>
      assert.equal(answer['error'], 'invalid_request')
      assert.equal(
        answer['problem'],
        platform === 'oidc' ? 'identity-unmapped' : 'token-claim-invalid',
      )
    })
  })

suite('a signed GetCallerIdentity of AWS', () => {
  const ask = async (
    { accessKeyId, secretAccessKey, sessionToken }: AwsCredentials,
    script = askByAws,
  ) => {
    const said = await shell(script, '', {
      STS_HOST: sts.host,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_SESSION_TOKEN: sessionToken ?? '',
    })
    return JSON.parse(said) as Record<string, string>
  }

  test('becomes a JWT-SVID by the README’s openssl and curl', async () => {
    const answer = await ask(awsCredentials)
    assert.ok(answer['access_token'], JSON.stringify(answer))
    const { sub, aud, iss } = decodeJwt(answer['access_token'])
    assert.deepEqual({ sub, aud, iss }, { sub: awsCaller, aud: orders, iss: exchangeUrl })
  })

  test('goes through ingress by an access token for the gateway, and the service sees the right SPIFFE ID', async () => {
    const script = askByAws
      .replace(
        'requested_token_type=urn:ietf:params:oauth:token-type:jwt',
        'requested_token_type=urn:ietf:params:oauth:token-type:access_token',
      )
      .replace(`audience=${orders}`, 'audience=spiffe://mesh.example/gateway')
    const { access_token: token = '', ...rest } = await ask(awsCredentials, script)
    assert.ok(token, JSON.stringify(rest))
    const { status, body } = await callThroughIngress(token)
    assert.equal(status, 200, body)
    assert.deepEqual(JSON.parse(body), {
      peer: 'URI:spiffe://mesh.example/gateway',
      sub: awsCaller,
      aud: orders,
    })
  })

  test('by another key, or for another exchange, is worth nothing', async () => {
    const wrongKey = await ask({ ...awsCredentials, secretAccessKey: 'wrong' })
    assert.equal(wrongKey['problem'], 'token-signature-invalid')
    const elsewhere = askByAws.replace('"$host" "$EXCHANGE"', '"$host" "https://other.example"')
    assert.notEqual(elsewhere, askByAws)
    assert.equal((await ask(awsCredentials, elsewhere))['problem'], 'token-signature-invalid')
  })

  test('leaves a record of who it was, and none of what was signed', () => {
    const records = recordsOf('exchange.jsonl').filter(
      ({ caller, outcome }) => caller?.issuer === '(aws)' && outcome === 'answered',
    )
    assert.equal(records.length, 2)
    for (const { caller, grant, policy, spiffeId } of records) {
      assert.equal(spiffeId, awsCaller)
      assert.equal(
        caller?.subject,
        'arn:aws:sts::123456789012:assumed-role/nightly/nightly-function',
      )
      assert.equal(grant, 'jobs')
      assert.equal(policy?.allow, true)
    }
    const text = readFileSync(at('exchange.jsonl'), 'utf8')
    assert.ok(!text.includes('X-Amz') && !text.includes('AQoDYXdz'))
  })
})

/** Signed by the right key, for the right audience, and yet not one of the platform. */
const signedWithout = (issuer: PlatformIssuer, platform: Platform, sub: string) => {
  const nothing = {
    kubernetes: { 'kubernetes.io': undefined },
    github: { repository_id: undefined },
    gitlab: { project_id: undefined },
    aws: { 'https://sts.amazonaws.com/': undefined },
    gcp: { azp: undefined },
    azure: { tid: undefined },
    'azure-attestation': { 'x-ms-isolation-tee': undefined },
    oidc: { sub: 'another' },
  } as const
  return issuer.token({ sub, ...nothing[platform] })
}

suite('a certificate for a key that the caller keeps', () => {
  test('is had by the README’s openssl and curl, and ends with the token', async () => {
    const iat = Math.floor(Date.now() / 1000)
    const token = issuerOf('github').token({ iat, exp: iat + 120 })
    const answer = JSON.parse(await shell(askForCertificate, token)) as X509SvidAnswer
    assert.equal(answer.spiffe_id, 'spiffe://mesh.example/jobs/nightly', JSON.stringify(answer))
    const certificate = new X509Certificate(answer.x509_svid)
    const leaf = readSvidLeaf(certificate.raw)
    assert.ok(leaf.ok && leaf.value.spiffeId === answer.spiffe_id)
    assert.ok(certificate.checkPrivateKey(createPrivateKey(readFileSync(at('key.pem')))))
    assert.ok(leaf.value.notAfterMs <= (iat + 120) * 1000)
    writeFileSync(at('svid.pem'), answer.x509_svid)
    writeFileSync(at('bundle.pem'), answer.bundle)
    await run('openssl', [
      'verify',
      '-CAfile',
      at('bundle.pem'),
      '-untrusted',
      at('svid.pem'),
      at('svid.pem'),
    ])
  })

  test('is no way to renew one: the next needs a platform token again', async () => {
    const script = `openssl req -new -key key.pem -subj / -outform DER |
      curl --silent --cacert roots.pem --cert svid.pem --key key.pem "$EXCHANGE/svid/x509" \
      -H 'content-type: application/pkcs10' --data-binary @-`
    assert.match(await shell(script, ''), /client-not-allowed/)
  })

  test('is not to be had for whom no grant names, nor as the gateway by a token that may become it', async () => {
    const other = issuerOf('kubernetes').token({
      sub: 'system:serviceaccount:shop:other',
      'kubernetes.io': { namespace: 'shop', serviceaccount: { name: 'other', uid: 'x' } },
    })
    assert.match(await shell(askForCertificate, other), /identity-unmapped/)
    const asGateway = issuerOf('kubernetes').token(gatewayAccount)
    assert.match(await shell(askForToken, asGateway), /identity-unmapped/)
  })
})

test('a token of an issuer whose tokens are good once is good once, whatever for', async () => {
  const token = issuerOf('gitlab').token()
  assert.match(await shell(askForToken, token), /access_token/)
  assert.match(await shell(askForToken, token), /token-replayed/)
  assert.match(await shell(askForCertificate, token), /token-replayed/)
  assert.equal(
    (await callThroughIngress(token)).status,
    200,
    'a gateway brings it for each service',
  )
})

test('every exchange left one record: by what, as whom, for what, allowed by which grant and policy', () => {
  const records = recordsOf('exchange.jsonl')
  const own = records
    .filter(({ client, outcome }) => client === 'self' && outcome === 'answered')
    .filter(({ spiffeId }) => spiffeId !== 'spiffe://mesh.example/gateway') // which needs no grant
  assert.ok(own.length >= platforms.length)
  for (const record of own) {
    assert.equal(record.grant, 'jobs')
    assert.equal(record.policy?.allow, true)
    assert.match(record.policy.revision, /^[0-9a-f]{16}$/)
    assert.ok(record.mapping && record.parent && record.minted?.jti)
  }
  const text = JSON.stringify(records)
  assert.ok(!text.includes('eyJ'), 'a token in a record')
})
