import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { suite, test } from 'node:test'
import { platformClaims } from '#test/fakes/platform-claims'
import { newKey, makeCertificate } from '#test/fakes/openssl'
import { newSigningKey, signToken } from '#test/fakes/token-maker'
import { claims, verifierFor } from '../jwt/verifier.ts'

const issuer = 'https://shop.weu.attest.azure.net'
const key = newSigningKey('maa-1', 'RS256')
const { der } = makeCertificate({ subject: '/CN=maa', extensions: [], key: key.privateKey })
const published = { kid: key.kid, kty: 'RSA', x5c: [der.toString('base64')] }
const { sub: _sub, aud: _aud, ...times } = claims({ iss: issuer })
const attested = { ...times, ...platformClaims['azure-attestation'] }
const jku = `${issuer}/certs`

const verifierOf = (jwk: object = published) =>
  verifierFor([{ ...key, jwk: { ...jwk } }], {
    issuer,
    platform: 'azure-attestation',
    audiences: ['sallyport'],
    algorithms: ['RS256'],
  })
const verifier = await verifierOf()
const nonce = (text: string) => ({
  'x-ms-runtime': { 'client-payload': { nonce: Buffer.from(text).toString('base64') } },
})

suite('a token of Azure Attestation', () => {
  test('is checked by a key that is published as a certificate, and is about its machine', async () => {
    const verified = await verifier.verify(
      signToken(key, attested, { jku }),
      new Set(['idp']),
      Date.UTC(2026, 10, 26, 12),
    )
    assert.ok(verified.ok, JSON.stringify(verified))
    assert.equal(verified.value.subject, '2DEDC52A-6832-46CE-9910-E8C9980BF5A7')
    assert.deepEqual(verified.value.audiences, ['sallyport'])
  })

  for (const [what, changed] of [
    ['for whom another nonce stands', nonce('vault.example')],
    ['whose nonce only begins with ours', nonce('sallyport2')],
    ['that says an audience of another besides', { aud: 'vault.example' }],
  ] as const)
    test(`one ${what} is refused`, async () => {
      const token = signToken(key, { ...attested, ...changed }, { jku })
      assert.equal(await verifier.outcome(token), 'token-audience-wrong')
    })

  test('one without a nonce is for nobody', async () => {
    const token = signToken(key, { ...attested, 'x-ms-runtime': {} }, { jku })
    assert.equal(await verifier.outcome(token), 'token-claim-missing')
  })

  test('one that names keys elsewhere is refused, and nobody asks there', async (t) => {
    let asked = 0
    const trap = createServer((socket) => {
      asked++
      socket.destroy()
    }).listen(0, '127.0.0.1')
    await once(trap, 'listening')
    t.after(() => trap.close())
    const { port } = trap.address() as { port: number }
    for (const elsewhere of [`https://127.0.0.1:${port}/certs`, `${jku}/`, '', 7, null])
      assert.equal(
        await verifier.outcome(signToken(key, attested, { jku: elsewhere })),
        'token-malformed',
      )
    assert.equal(asked, 0)
  })
})

suite('a certificate in a key set', () => {
  test('of another key does not check its tokens (SPIRE 1.14.7, 1.15.1)', async () => {
    const other = newSigningKey('maa-1', 'RS256')
    const token = signToken({ ...other, kid: key.kid }, attested, { jku })
    assert.equal(await verifier.outcome(token), 'token-signature-invalid')
  })

  const ec = makeCertificate({ subject: '/CN=ec', extensions: [], key: newKey() })
  for (const [what, x5c] of [
    ['for an EC key', [ec.der.toString('base64')]],
    ['that is no base64', [`${der.toString('base64')}*`]],
    ['that is no certificate', [Buffer.from('certificate').toString('base64')]],
    ['that is missing', []],
  ] as const)
    test(`${what} is no key`, async () => {
      await assert.rejects(verifierOf({ ...published, x5c }), /no usable key/)
    })
})
