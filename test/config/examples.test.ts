import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadConfig } from '#config/load'
import { makeCertificate, newKey } from '#test/fakes/openssl'
import { workspace } from './workspace.ts'

const folder = join(import.meta.dirname, '../../config')
const names = ['gateway', 'exchange', 'shared'].map((name) => `${name}.example.yaml`)
const examples = Object.fromEntries(
  names.map((name) => [name, readFileSync(join(folder, name), 'utf8')]),
)

test('the examples have no faults once their files are there', async (t) => {
  const { at, check } = workspace(t, { ...examples, 'secrets/redis-url': 'redis://127.0.0.1:6379' })
  mkdirSync(at('run'))
  mkdirSync(at('policy/bundle'), { recursive: true })
  for (const file of ['policy/bundle/bundle.tar.gz', 'policy/data.json'])
    copyFileSync(join(folder, file), at(file))
  const { pem, keyPem } = makeCertificate({
    key: newKey(),
    extensions: [
      'subjectAltName = DNS:api.example.com, DNS:status.example.com, DNS:*.status.example.com',
    ],
  })
  writeFileSync(at('tls/api.example.com.pem'), pem)
  writeFileSync(at('tls/api.example.com.key'), keyPem)
  writeFileSync(at('tls/exchange-ca.pem'), pem)
  assert.deepEqual(await check(['gateway.example.yaml', 'exchange.example.yaml']), {
    faults: [],
    warnings: [],
  })
  const gateway = await loadConfig('gateway', at('gateway.example.yaml'), {
    EXCHANGE_HOST: 'exchange.other',
  })
  assert.ok(gateway.ok)
  assert.equal(gateway.config.exchange.url, 'https://exchange.other:8444')
  assert.equal(gateway.config.routes.length, 4)
  assert.equal((await loadConfig('exchange', at('exchange.example.yaml'), {})).ok, true)
})

test('what an example refers to in the repository is there', () => {
  for (const [name, text] of Object.entries(examples)) {
    for (const [path] of text.matchAll(/docs\/[\w/.-]+\.md/g))
      assert.ok(readFileSync(join(folder, '..', path)).length > 0, `${name}: ${path}`)
  }
})
