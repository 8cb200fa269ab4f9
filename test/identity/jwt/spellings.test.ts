import assert from 'node:assert/strict'
import { test } from 'node:test'
import { splitJws } from '#identity/jwt/strict-parse'

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

test('of all spellings of a part only the one that an encoder writes is taken', () => {
  const header = Buffer.from('{"alg":"ES256"}').toString('base64url')
  let taken = 0
  for (const beginning of ['', 'A', 'AB', 'ABC', 'ABCD', 'ABCDE', 'ABCDEF'])
    for (const last of alphabet) {
      const part = beginning + last
      const isCanonical = Buffer.from(part, 'base64url').toString('base64url') === part
      for (const token of [`${header}.${part}.AAAA`, `${header}.AAAA.${part}`])
        assert.equal(splitJws(token).ok, isCanonical, token)
      if (isCanonical) taken += 1
    }
  assert.equal(taken, 2 * (4 + 16) + 64) // two, three and four characters; a single one is none
})
