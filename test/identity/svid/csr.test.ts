import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createPublicKey } from 'node:crypto'
import { test } from 'node:test'
import { createCsr } from '#identity/svid/csr'
import { newKey } from '#test/fakes/openssl'

test('openssl finds a right signature, the key, no subject and no attributes', () => {
  for (let round = 0; round < 3; round++) {
    const key = newKey()
    const csr = createCsr(key)
    const shown = execFileSync('openssl', ['req', '-verify', '-noout', '-text', '-pubkey'], {
      input: csr,
      encoding: 'utf8',
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    assert.match(shown, /Version: 1 \(0x0\)/)
    assert.match(shown, /Subject:\s*\n/)
    assert.match(shown, /ecdsa-with-SHA256/)
    assert.match(shown, /Attributes:\s*\(none\)/)
    assert.ok(
      shown.includes(createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString()),
    )
  }
})

test('a key on another curve is a mistake of ours', () => {
  assert.throws(() => createCsr(newKey('P-384')), TypeError)
})
