// Examples that AWS publishes: "Signature Calculations for the Authorization Header", Amazon S3 API Reference.
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { pass } from '#contract/problem'
import { secret } from '#contract/secret'
import { awsSigV4 } from '#gateway/egress/credentials/aws-sigv4'
import type { Outgoing } from '#gateway/egress/credentials/credential'
import type { Body } from '#http/body'

const secretAccessKey = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'
const config = {
  kind: 'aws-sigv4',
  region: 'us-east-1',
  service: 's3',
  accessKeyId: secret('AKIAIOSFODNN7EXAMPLE'),
  secretAccessKey: secret(secretAccessKey),
  payload: 'signed',
  maxSignedBodyBytes: 100,
  scanBytes: 1000,
} as const
const bodyOf = (text: string | undefined): Body => ({
  expected: text !== undefined,
  peek: (max) => {
    const bytes = Buffer.from(text ?? '')
    return pass({ bytes: bytes.subarray(0, max), whole: bytes.length <= max })
  },
  keepSmall: () => undefined,
  take: () => null,
  fault: () => undefined,
  bytesIn: () => 0,
})
const occasion = {
  workload: { spiffeId: 'spiffe://mesh.example/a' as never, proof: 'x509-svid' },
  rule: 'r',
  decisionId: 'd',
  nowMs: Date.UTC(2013, 4, 24),
} as const
const sign = (outgoing: Partial<Outgoing>, more: Partial<typeof config> | object = {}) =>
  awsSigV4('s3', { ...config, ...more })(
    {
      method: 'GET',
      host: 'examplebucket.s3.amazonaws.com',
      path: '/',
      query: '',
      headers: [],
      body: bodyOf(undefined),
      ...outgoing,
    },
    occasion,
  )
const headersOf = async (signed: ReturnType<typeof sign>) => {
  const made = await signed
  assert.ok(made.ok)
  const { headers } = made.value.attachment
  return Object.fromEntries(
    headers.flatMap((name, i) => (i % 2 ? [] : [[name, headers[i + 1] ?? '']])),
  )
}
const tagOf = async (signed: ReturnType<typeof sign>) => {
  const made = await signed
  return made.ok ? 'signed' : made.problem.tag
}
const emptyHash = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

suite('a request is signed as AWS says', () => {
  for (const [query, signature] of [
    ['?lifecycle', 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543'],
    ['?max-keys=2&prefix=J', '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7'],
  ] as const)
    test(`GET ${query}`, async () => {
      assert.deepEqual(await headersOf(sign({ query })), {
        authorization: `AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=${signature}`,
        'x-amz-date': '20130524T000000Z',
        'x-amz-content-sha256': emptyHash,
      })
    })
})

suite('what is signed', () => {
  test('a body is, and a larger one than may be is refused', async () => {
    const { 'x-amz-content-sha256': digest } = await headersOf(
      sign({ method: 'PUT', body: bodyOf('Welcome to Amazon S3.') }),
    )
    assert.equal(digest, '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072')
    assert.equal(await tagOf(sign({ body: bodyOf('x'.repeat(101)) })), 'body-too-large')
  })
  test('an unsigned body says so', async () => {
    const signed = sign({ body: bodyOf('x'.repeat(101)) }, { payload: 'unsigned' })
    assert.equal((await headersOf(signed))['x-amz-content-sha256'], 'UNSIGNED-PAYLOAD')
  })
  test("a workload's own x-amz- headers are, its own signature is not", async () => {
    const { authorization = '', 'x-amz-date': date } = await headersOf(
      sign({ headers: ['x-amz-acl', 'private', 'x-amz-date', 'yesterday', 'user-agent', 'x'] }),
    )
    assert.match(authorization, /SignedHeaders=host;x-amz-acl;x-amz-content-sha256;x-amz-date,/)
    assert.equal(date, '20130524T000000Z')
  })
  test('temporary keys come with their token', async () => {
    const headers = await headersOf(sign({}, { sessionToken: secret('a-session-token') }))
    assert.equal(headers['x-amz-security-token'], 'a-session-token')
    assert.match(headers['authorization'] ?? '', /x-amz-security-token/)
  })
  test('a query that cannot be decoded is refused', async () => {
    assert.equal(await tagOf(sign({ query: '?a=%zz' })), 'request-malformed')
  })
})

test('what must not come back: the key, the token, and the signature of this request', async () => {
  const made = await sign({ query: '?lifecycle' }, { sessionToken: secret('a-session-token') })
  assert.ok(made.ok)
  const { needles, headers } = made.value.attachment
  const signature = /Signature=([0-9a-f]+)/.exec(headers[1] ?? '')?.[1] ?? 'none'
  for (const value of [secretAccessKey, 'a-session-token', signature])
    assert.ok(
      needles.some((needle) => needle.equals(Buffer.from(value))),
      value,
    )
})
