import assert from 'node:assert/strict'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { keySourceOf } from '#identity/jwt/key-source'
import { issuerConfig } from '#test/fakes/issuer-config'
import { makeWebCertificate, runHttps } from '#test/fakes/https-server'
import { newSigningKey } from '#test/fakes/token-maker'

const folder = mkdtempSync(join(tmpdir(), 'sallyport-keys-'))
const tokenFile = join(folder, 'token')
const put = (token: string) => {
  writeFileSync(`${tokenFile}.new`, `${token}\n`)
  renameSync(`${tokenFile}.new`, tokenFile)
}
const { ca, server: certificate } = makeWebCertificate()
const jwks = { keys: [newSigningKey('k1').jwk] }

/** An API server that lets nobody read its keys without a token, and another host where anybody may. */
let asked: string[] = []
let keysAt: string | undefined
const serve = (who: string, isOpen: boolean) =>
  runHttps(certificate, (request, response) => {
    const { authorization } = request.headers
    asked.push(`${who} ${request.url} ${authorization ?? 'nobody'}`)
    const url = `https://${request.headers.host}`
    if (!isOpen && !authorization?.startsWith('Bearer good')) {
      response.writeHead(401)
      return response.end()
    }
    const document =
      request.url === '/keys' ? jwks : { issuer: url, jwks_uri: keysAt ?? `${url}/keys` }
    return response.end(JSON.stringify(document))
  })
const apiserver = await serve('api', false)
const elsewhere = await serve('elsewhere', true)
after(async () => {
  await apiserver.close()
  await elsewhere.close()
  rmSync(folder, { recursive: true })
})

const sourceOf = (more: object = {}) => {
  asked = []
  keysAt = undefined
  const source = keySourceOf(
    issuerConfig({ issuer: apiserver.url, jwksTokenFile: tokenFile, ...more }),
    { ca, allowPlainHttp: false, timeoutMs: 5000 },
  )
  after(source.close)
  return source
}

suite('keys that are not shown to everybody', () => {
  test('are fetched with the token of a file, as it is at that moment', async () => {
    put('good-1')
    const source = sourceOf()
    assert.ok((await source.load(true)).ok)
    put('good-2')
    assert.ok((await source.load(false)).ok)
    assert.deepEqual(asked, [
      'api /.well-known/openid-configuration Bearer good-1',
      'api /keys Bearer good-1',
      'api /keys Bearer good-2',
    ])
  })

  test('are fetched from `jwksUrl` with it, too', async () => {
    put('good')
    assert.ok((await sourceOf({ jwksUrl: `${apiserver.url}/keys` }).load(true)).ok)
    assert.deepEqual(asked, ['api /keys Bearer good'])
  })

  test('are not had without it: which is a fault of the source', async () => {
    put('bad')
    const refused = await sourceOf().load(true)
    assert.ok(!refused.ok && refused.fault.includes('status 401'))
    rmSync(tokenFile)
    const missing = await sourceOf().load(true)
    assert.ok(!missing.ok && missing.fault.includes(tokenFile))
    assert.deepEqual(asked, [], 'without a token nobody is asked')
  })

  test('the token goes to no other host, whatever the document says', async () => {
    put('good')
    const source = sourceOf()
    keysAt = `${elsewhere.url}/keys`
    assert.ok((await source.load(true)).ok)
    assert.deepEqual(asked, [
      'api /.well-known/openid-configuration Bearer good',
      'elsewhere /keys nobody',
    ])
  })
})
