import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { readCallerIdentity } from '#identity/platforms/aws-caller-identity'
import { answerOf } from '#test/fakes/sts-server'

const role = {
  arn: 'arn:aws:sts::123456789012:assumed-role/nightly/i-0123456789abcdef0',
  userId: 'AROAEXAMPLEEXAMPLE00:i-0123456789abcdef0',
  account: '123456789012',
}
const read = (body: string, type: string | undefined = 'text/xml') =>
  readCallerIdentity(type, Buffer.from(body))
const good = answerOf(role)

suite('what STS says of a caller', () => {
  test('is a role, without the session that the caller named', () => {
    assert.deepEqual(read(good), {
      ok: true,
      value: {
        account: '123456789012',
        principal: 'arn:aws:iam::123456789012:role/nightly',
        kind: 'role',
        uniqueId: 'AROAEXAMPLEEXAMPLE00',
        arn: role.arn,
      },
    })
  })

  test('is a user, with its path; in other partitions, too', () => {
    const arn = 'arn:aws-us-gov:iam::123456789012:user/ops/ann'
    const user = read(answerOf({ arn, userId: 'AIDAEXAMPLEEXAMPLE00', account: '123456789012' }))
    assert.ok(user.ok)
    assert.equal(user.value.principal, arn)
    assert.equal(user.value.kind, 'user')
  })

  test('may come in one line, in another order, with a prolog and a charset', () => {
    assert.ok(read(good.replaceAll(/\n\s*/g, '')).ok)
    assert.ok(read(`<?xml version="1.0" encoding="UTF-8"?>\n${good}`).ok)
    assert.ok(read(good, 'text/xml; charset=utf-8').ok)
    const account = '    <Account>123456789012</Account>\n'
    assert.ok(read(good.replace(account, '').replace('    <Arn>', `${account}    <Arn>`)).ok)
  })

  const replaced = (from: string | RegExp, to: string) => {
    const body = good.replace(from, to)
    assert.notEqual(body, good)
    return body
  }
  const rows: readonly (readonly [string, string])[] = [
    ['nothing', ''],
    ['a web page', '<html></html>'],
    ['JSON', JSON.stringify({ GetCallerIdentityResponse: {} })],
    ['an error', '<ErrorResponse><Error><Code>x</Code></Error></ErrorResponse>'],
    ['an answer to another action', good.replaceAll('GetCallerIdentity', 'GetSessionToken')],
    ['another namespace', replaced('sts.amazonaws.com/doc', 'sts.evil.example/doc')],
    ['two answers', good + good],
    ['something before it', `x${good}`],
    ['something after it', `${good}<x/>`],
    [
      'it within something else (CVE-2020-16250)',
      `<Response><Message>${good}</Message></Response>`,
    ],
    ['a comment', replaced('<Arn>', '<!-- --><Arn>')],
    ['a comment in a value', replaced('assumed-role', 'assumed<!-- -->-role')],
    ['CDATA', replaced(/<Account>(.*)<\/Account>/, '<Account><![CDATA[$1]]></Account>')],
    ['an entity', replaced('nightly', 'night&#108;y')],
    ['a document type', `<!DOCTYPE x [<!ENTITY a "b">]>${good}`],
    ['an attribute', replaced('<Arn>', '<Arn a="b">')],
    [
      'an element twice',
      replaced('</Arn>', '</Arn><Arn>arn:aws:iam::123456789012:user/root</Arn>'),
    ],
    ['an element too many', replaced('</Arn>', '</Arn><Session>x</Session>')],
    ['an element too few', replaced(/<UserId>.*<\/UserId>/, '')],
    ['an element that ends as another', replaced('</Arn>', '</Account>')],
    ['an element in an element', replaced('<Arn>', '<Arn><Arn>')],
    ['another account than in the ARN', replaced('<Account>1', '<Account>2')],
    ['a root', replaced(role.arn, 'arn:aws:iam::123456789012:root')],
    ['a federated user', replaced('assumed-role/nightly/', 'federated-user/')],
    ['an ARN of another service', replaced('arn:aws:sts', 'arn:aws:s3')],
    ['a role without a session', replaced('/i-0123456789abcdef0<', '<')],
    ['a role with a path', replaced('nightly/', 'nightly/x/')],
    ['a session that is not that of the id', replaced(':i-0123456789abcdef0', ':i-1')],
    ['an id without a session', replaced(':i-0123456789abcdef0', '')],
    ['a line in the ARN', replaced('nightly', 'night\nly')],
    ['10 kB', replaced('nightly', 'a'.repeat(10_000))],
  ]
  for (const [what, body] of rows)
    test(`is not taken from ${what}`, () => {
      assert.equal(read(body).ok, false)
    })

  for (const type of [
    undefined,
    'text/html',
    'application/json',
    'text/xml2',
    'text/xml; charset=utf-7',
  ])
    test(`is not taken as ${type}`, () => {
      assert.equal(readCallerIdentity(type, Buffer.from(good)).ok, false)
    })
})
