import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { signatureAlgorithms } from '#config/schema'
import { acceptJwkSet } from '#identity/jwt/jwks'
import { parseCompactJws } from '#identity/jwt/strict-parse'

type Group = {
  readonly comment: string
  readonly public?: unknown
  readonly private: unknown
  readonly tests: readonly {
    readonly tcId: number
    readonly comment: string
    readonly jws: string
    readonly result: 'valid' | 'invalid'
  }[]
}

const file = new URL('../fixtures/wycheproof/json_web_key_test.json', import.meta.url)
const { testGroups, numberOfTests } = JSON.parse(readFileSync(file, 'utf8')) as {
  readonly testGroups: readonly Group[]
  readonly numberOfTests: number
}

/** Labelled valid, refused by us: the keys are symmetric, and those never come in a JWK Set of an issuer. */
const symmetric = new Set([2, 13, 14, 15])

test('Wycheproof json_web_key: every set is judged as labelled, symmetric ones are refused', async () => {
  let cases = 0
  let valid = 0
  for (const group of testGroups) {
    const text = Buffer.from(JSON.stringify(group.public ?? group.private))
    const set = await acceptJwkSet(text, signatureAlgorithms)
    for (const { tcId, comment, jws, result } of group.tests) {
      cases++
      const parsed = parseCompactJws(jws)
      const key = set.ok && parsed.ok ? set.value.keys.get(parsed.value.header.kid) : undefined
      const accepted =
        key !== undefined &&
        parsed.ok &&
        parsed.value.header.alg === key.algorithm &&
        key.verify(parsed.value.signingInput, parsed.value.signature)
      const expected = symmetric.has(tcId) ? 'invalid' : result
      assert.equal(
        accepted ? 'valid' : 'invalid',
        expected,
        `${tcId} (${group.comment}, ${comment})`,
      )
      if (accepted) valid++
    }
  }
  assert.deepEqual({ cases, valid }, { cases: numberOfTests, valid: 1 })
})
