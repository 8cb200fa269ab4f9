import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { acceptJwk } from '#identity/jwt/jwks'
import { isSignatureAlgorithm } from '#identity/jwt/signature-algorithm'
import { parseCompactJws } from '#identity/jwt/strict-parse'

type Group = {
  readonly comment: string
  readonly public?: Record<string, unknown>
  readonly private: Record<string, unknown>
  readonly tests: readonly {
    readonly tcId: number
    readonly comment: string
    readonly jws: string
    readonly result: 'valid' | 'invalid'
  }[]
}

const file = new URL('../fixtures/wycheproof/json_web_signature_test.json', import.meta.url)
const { testGroups, numberOfTests } = JSON.parse(readFileSync(file, 'utf8')) as {
  readonly testGroups: readonly Group[]
  readonly numberOfTests: number
}

/** Where we differ from the label, each with the reason. All of them are refused by us. */
const differences = new Map<number, string>([
  ...[346, 350].map(
    (id) => [id, 'the key says PS256, the token PS384: one key, one algorithm'] as const,
  ),
  ...[347, 351].map((id) => [id, 'the key says ES521, which is no algorithm'] as const),
  ...[259, 264, 268, 272, 320, 325].map((id) => [id, 'an empty payload is no JWT'] as const),
])
/** A JWK Set of an issuer has no symmetric keys, so nothing that they made is ever valid. */
const symmetricReason = 'a symmetric key is never accepted'

const accepts = async (group: Group, jws: string): Promise<boolean> => {
  // The public half as an issuer would publish it; the algorithm is that of the group's key.
  const jwk = group.public ?? group.private
  const alg = jwk['alg']
  if (!isSignatureAlgorithm(alg)) return false
  const key = await acceptJwk({ kid: 'none', ...jwk }, [alg])
  const parsed = parseCompactJws(jws)
  if (!key.ok || !parsed.ok || parsed.value.header.alg !== key.value.algorithm) return false
  return key.value.verify(parsed.value.signingInput, parsed.value.signature)
}

test('Wycheproof json_web_signature: every case is judged as labelled, or as listed', async () => {
  let asLabelled = 0
  let asListed = 0
  let symmetric = 0
  for (const group of testGroups) {
    const isSymmetric = (group.public ?? group.private)['kty'] === 'oct'
    for (const { tcId, comment, jws, result } of group.tests) {
      const accepted = await accepts(group, jws)
      const label = `${tcId} (${group.comment}, ${comment})`
      if (isSymmetric) {
        assert.equal(accepted, false, `${label}: ${symmetricReason}`)
        symmetric++
      } else if (differences.has(tcId)) {
        assert.equal(result, 'valid', `${label} is no difference`)
        assert.equal(accepted, false, `${label}: ${differences.get(tcId)}`)
        asListed++
      } else {
        assert.equal(accepted ? 'valid' : 'invalid', result, label)
        asLabelled++
      }
    }
  }
  assert.equal(asLabelled + asListed + symmetric, numberOfTests)
  assert.deepEqual(
    { numberOfTests, asListed, symmetric },
    { numberOfTests: 401, asListed: 10, symmetric: 40 },
  )
})
