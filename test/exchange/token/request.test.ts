import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { exchangeParameters, parseExchangeRequest, readForm } from '#exchange/token/request'
import { tokenExchangeGrant, tokenTypes } from '#contract/token-exchange'
import { collectGarbage } from '../../collect-garbage.ts'
import { orders } from '../fixtures.ts'

const whole = {
  grant_type: tokenExchangeGrant,
  subject_token: 'a.b.c',
  subject_token_type: tokenTypes.jwt,
  requested_token_type: tokenTypes.jwt,
  audience: orders,
}
const form = (more: Record<string, string | undefined> = {}, tail = '') => {
  const entries = Object.entries({ ...whole, ...more }).filter(([, value]) => value !== undefined)
  return new URLSearchParams(entries).toString() + tail
}
const parse = (text: string) => {
  const read = readForm(Buffer.from(text, 'latin1'), exchangeParameters)
  return read.ok ? parseExchangeRequest(read.value) : read
}
const type = (name: string) => `urn:ietf:params:oauth:token-type:${name}`

suite('a request for a token', () => {
  test('in order gives what it asks for', () => {
    const request = parse(form())
    assert.ok(request.ok)
    assert.equal(request.value.subjectToken.reveal(), 'a.b.c')
    assert.equal(request.value.audience, orders)
    assert.equal(request.value.requestedTokenType, tokenTypes.jwt)
    assert.equal(request.value.actorToken, undefined)
    assert.equal(request.value.scopes, undefined)
  })

  test('that names no type gets an access token', () => {
    const request = parse(form({ requested_token_type: undefined }))
    assert.ok(request.ok && request.value.requestedTokenType === tokenTypes.accessToken)
  })

  test('may leave a parameter empty, which is as if it were not there', () => {
    const request = parse(form({ scope: '', actor_token: '', resource: '' }))
    assert.ok(request.ok)
  })

  test('leaves nothing else in memory with its audience, which is kept', () => {
    const token = 'x'.repeat(16_000)
    const audiences: unknown[] = []
    const heapWith = (count: number): number => {
      for (let i = 0; i < count; i++) {
        // As gateways write it: nothing in it is percent-encoded, so nothing has to be copied to be read.
        const text = form({ audience: undefined, subject_token: `${i}.${token}` })
        const request = parse(`${text}&audience=${orders}`)
        audiences.push(request.ok && request.value.audience)
      }
      collectGarbage()
      return process.memoryUsage().heapUsed
    }
    const before = heapWith(100)
    const growth = heapWith(500) - before
    assert.ok(audiences.every((audience) => audience === orders))
    assert.ok(growth < 2_000_000, `${growth} bytes for 500 audiences`) // with their forms 8,000,000
  })

  test('shows its token to nobody who prints it', () => {
    const request = parse(form({ subject_token: 'very.secret.token' }))
    assert.ok(request.ok)
    assert.ok(!JSON.stringify(request).includes('very.secret'))
  })

  const rows: readonly (readonly [string, string, string])[] = [
    ['nothing', '', 'invalid_request'],
    ['no grant_type', form({ grant_type: undefined }), 'invalid_request'],
    ['an empty grant_type', form({ grant_type: '' }), 'invalid_request'],
    ['another grant', form({ grant_type: 'client_credentials' }), 'unsupported_grant_type'],
    [
      'a grant in other case',
      form({ grant_type: tokenExchangeGrant.toUpperCase() }),
      'unsupported_grant_type',
    ],
    ['no subject_token', form({ subject_token: undefined }), 'invalid_request'],
    ['an empty subject_token', form({ subject_token: '' }), 'invalid_request'],
    ['a subject_token of 17 kB', form({ subject_token: 'x'.repeat(17_000) }), 'invalid_request'],
    ['no subject_token_type', form({ subject_token_type: undefined }), 'invalid_request'],
    ['a SAML subject', form({ subject_token_type: type('saml2') }), 'invalid_request'],
    [
      'a refresh token as subject',
      form({ subject_token_type: type('refresh_token') }),
      'invalid_request',
    ],
    ['an unknown requested type', form({ requested_token_type: type('saml2') }), 'invalid_request'],
    ['a repeated grant_type', form({}, `&grant_type=${tokenExchangeGrant}`), 'invalid_request'],
    ['a repeated subject_token', form({}, '&subject_token=d.e.f'), 'invalid_request'],
    ['a repeated empty parameter', form({ scope: '' }, '&scope='), 'invalid_request'],
    ['no audience', form({ audience: undefined }), 'invalid_target'],
    ['two audiences', form({}, '&audience=other'), 'invalid_target'],
    ['an audience of 3 kB', form({ audience: 'x'.repeat(3000) }), 'invalid_target'],
    ['audience and resource', form({ resource: 'https://orders.example' }), 'invalid_target'],
    [
      'a resource that is no URI',
      form({ audience: undefined, resource: 'orders' }),
      'invalid_target',
    ],
    [
      'a resource with a fragment',
      form({ audience: undefined, resource: 'https://orders.example/#x' }),
      'invalid_target',
    ],
    ['a scope with two spaces', form({ scope: 'a  b' }), 'invalid_scope'],
    ['a scope with a quote', form({ scope: 'a"b' }), 'invalid_scope'],
    [
      'a SAML actor',
      form({ actor_token: 'd.e.f', actor_token_type: type('saml2') }),
      'invalid_request',
    ],
    ['a context without a Txn-Token', form({ request_context: '{}' }), 'invalid_request'],
    [
      'a context that is no object',
      form({ requested_token_type: tokenTypes.txnToken, request_context: '[1]' }),
      'invalid_request',
    ],
    [
      'details with a member twice',
      form({ requested_token_type: tokenTypes.txnToken, request_details: '{"a":1,"a":2}' }),
      'invalid_request',
    ],
    [
      'details of 5 kB',
      form({
        requested_token_type: tokenTypes.txnToken,
        request_details: JSON.stringify({ a: 'x'.repeat(5000) }),
      }),
      'invalid_request',
    ],
    ['an actor without type', form({ actor_token: 'd.e.f' }), 'invalid_request'],
    ['a type without actor', form({ actor_token_type: tokenTypes.jwt }), 'invalid_request'],
    ['a restriction nobody knows', form({ authorization_details: '[]' }), 'invalid_request'],
    ['a parameter in other case', form({ Audience: 'x' }), 'invalid_request'],
    ['a pair without =', form({}, '&scope'), 'invalid_request'],
    ['a pair with two =', form({}, '&scope=a=b'), 'invalid_request'],
    ['a half percent-encoding', form({}, '&client_id=%2'), 'invalid_request'],
    ['a percent-encoding that is none', form({}, '&client_id=%zz'), 'invalid_request'],
    ['a byte beyond ASCII', form({}, '&client_id=\xe9'), 'invalid_request'],
    ['UTF-8 that is none', form({}, '&client_id=%ff'), 'invalid_request'],
    ['overlong UTF-8', form({}, '&client_id=%c0%ae'), 'invalid_request'],
    ['a NUL', form({}, '&client_id=%00'), 'invalid_request'],
    ['a line break', form({}, '&client_id=a%0d%0ab'), 'invalid_request'],
    ['a trailing &', form({}, '&'), 'invalid_request'],
    ['a hundred parameters', form({}, '&scope='.repeat(100)), 'invalid_request'],
    ['a __proto__', form({}, '&__proto__=x'), 'invalid_request'],
    ['JSON', '{"grant_type":"x"}', 'invalid_request'],
  ]
  for (const [what, body, code] of rows)
    test(`with ${what} is answered ${code}`, () => {
      const request = parse(body)
      assert.ok(!request.ok)
      assert.equal(request.error.code, code)
      assert.match(request.error.description, /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/)
    })
})
