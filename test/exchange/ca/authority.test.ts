import assert from 'node:assert/strict'
import { randomBytes, X509Certificate } from 'node:crypto'
import { suite, test } from 'node:test'
import { openAuthority, type Authority } from '#exchange/ca/authority'
import type { KeyState, KeyStore } from '#exchange/keys/key-store'
import { memoryKeyStore } from '#exchange/keys/memory'
import { parseTrustDomain } from '#contract/spiffe-id'
import { nothingBesides, type Besides } from '#exchange/ca/besides'
import { acceptBundle } from '#identity/svid/bundle'
import { makeRoot } from '#test/fakes/openssl'
import { newSigningKey } from '#test/fakes/token-maker'
import { dayMs, fakeClock, hourMs, lifetimes, openTestAuthority, trustDomain } from '../fixtures.ts'

type JwkSet = { keys: { kid?: string; use: string; x5c?: string[] }[]; spiffe_sequence: number }
const bundleOf = (authority: Authority) => JSON.parse(authority.current().bundle.body) as JwkSet
const kidsOf = (authority: Authority) =>
  (JSON.parse(authority.current().jwks.body) as JwkSet).keys.map(({ kid }) => kid)

suite('the authority', () => {
  test('publishes a bundle that a reader of SPIFFE bundles takes whole', async () => {
    const authority = await openTestAuthority()
    const bundle = await acceptBundle(Buffer.from(authority.current().bundle.body), trustDomain)
    assert.ok(bundle.ok)
    assert.deepEqual(bundle.value.ignored, [])
    assert.equal(bundle.value.jwtKeys.size, 1)
    assert.equal(bundle.value.x509Roots, authority.current().rootsPem)
    assert.equal(bundle.value.refreshHintSeconds, 300)
    const [root, jwt] = bundleOf(authority).keys
    assert.equal(root?.use, 'x509-svid')
    assert.equal(root.x5c?.length, 1)
    assert.ok(!('kid' in root), 'an X.509 key must have no kid')
    assert.equal(jwt?.use, 'jwt-svid')
    assert.equal(jwt.kid, authority.current().tokenKey.kid)
  })

  test('never signs by a key that was not published for 15 minutes before, over 40 days', async () => {
    const { clock, pass } = fakeClock()
    const authority = await openTestAuthority(clock, { lifetimes: { rootMs: 20 * dayMs } })
    const firstSeenAt = new Map<string, number>()
    const see = () => {
      for (const kid of kidsOf(authority))
        if (!firstSeenAt.has(kid ?? '')) firstSeenAt.set(kid ?? '', clock())
      for (const { x5c } of bundleOf(authority).keys)
        for (const root of x5c ?? []) if (!firstSeenAt.has(root)) firstSeenAt.set(root, clock())
    }
    const used = new Set<string>()
    see()
    const beganAt = clock()
    let sequence = 0
    for (; clock() < beganAt + 40 * dayMs; pass(hourMs / 2)) {
      await authority.rotate()
      see()
      const { tokenKey, issuer, keys } = authority.current()
      for (const id of [tokenKey.kid, keys.roots.active.certificate.toString('base64')]) {
        const seenAt = firstSeenAt.get(id)
        assert.ok(seenAt !== undefined, 'a key signs that was never published')
        if (!used.has(id) && seenAt !== beganAt) assert.ok(clock() - seenAt >= 900_000)
        used.add(id)
      }
      assert.ok(tokenKey.notAfterMs > clock())
      assert.ok(issuer.notAfterMs - clock() >= lifetimes.longestX509SvidMs)
      assert.ok(bundleOf(authority).spiffe_sequence >= sequence)
      sequence = bundleOf(authority).spiffe_sequence
    }
    assert.ok(used.size > 40, `only ${used.size} keys were used: nothing has turned`)
  })

  test('keeps a retired key published until what it signed has expired, without its private half', async () => {
    const { clock, pass } = fakeClock()
    const authority = await openTestAuthority(clock)
    const first = authority.current().tokenKey.kid
    pass(12 * hourMs)
    await authority.rotate()
    pass(8 * hourMs)
    await authority.rotate()
    assert.notEqual(authority.current().tokenKey.kid, first)
    const [retired] = authority.current().keys.jwtKeys.retired
    assert.equal(retired?.key.id, first)
    assert.ok(!('privateKey' in retired.key))
    pass(lifetimes.longestTokenMs)
    await authority.rotate()
    assert.ok(kidsOf(authority).includes(first))
    pass(61_000)
    await authority.rotate()
    assert.ok(!kidsOf(authority).includes(first))
  })

  test('raises the sequence with every change of the bundle and with nothing else', async () => {
    const { clock, pass } = fakeClock()
    const authority = await openTestAuthority(clock)
    const seen: [string, number][] = []
    for (let hours = 0; hours < 72; hours++) {
      await authority.rotate()
      const { keys, spiffe_sequence } = bundleOf(authority)
      seen.push([JSON.stringify(keys), spiffe_sequence])
      pass(hourMs)
    }
    let changes = 0
    for (const [i, [keys, sequence]] of seen.entries()) {
      const [keysBefore, sequenceBefore] = seen[i - 1] ?? [keys, sequence]
      if (keys === keysBefore) assert.equal(sequence, sequenceBefore)
      else {
        changes++
        assert.ok(sequence > sequenceBefore)
      }
    }
    assert.ok(changes >= 6, `only ${changes} changes`)
  })

  test('a new root brings a new intermediate under it at once, and both roots stay published', async () => {
    const authority = await openTestAuthority()
    const before = authority.current()
    assert.deepEqual(await authority.order({ kind: 'root', step: 'prepare' }), { done: true })
    assert.equal(authority.current().issuer.subject, before.issuer.subject)
    assert.equal(authority.current().roots.length, 2)
    assert.deepEqual(await authority.order({ kind: 'root', step: 'activate', force: true }), {
      done: true,
    })
    const { issuer, keys, roots } = authority.current()
    assert.notEqual(issuer.subject, before.issuer.subject)
    const intermediate = new X509Certificate(issuer.certificate)
    const root = new X509Certificate(keys.roots.active.certificate)
    assert.ok(intermediate.checkIssued(root) && intermediate.verify(root.publicKey))
    assert.equal(roots.length, 2)
    assert.equal(keys.roots.retired[0]?.key.id, before.keys.roots.active.id)
  })

  test('an intermediate never outlives its root', async () => {
    const { clock, pass } = fakeClock()
    const authority = await openTestAuthority(clock, { lifetimes: { rootMs: dayMs } })
    for (let hours = 0; hours < 72; hours++, pass(hourMs)) {
      await authority.rotate()
      const { roots, intermediates } = authority.current().keys
      assert.ok(intermediates.active.notAfterMs <= roots.active.notAfterMs)
    }
  })

  test('after a sleep longer than every key it has keys that sign', async () => {
    const { clock, pass } = fakeClock()
    const authority = await openTestAuthority(clock)
    pass(400 * dayMs)
    const turns = await authority.rotate()
    assert.deepEqual(turns, [
      { kind: 'root', step: 'prepare' },
      { kind: 'root', step: 'activate' },
      { kind: 'jwt', step: 'prepare' },
      { kind: 'jwt', step: 'activate' },
    ])
    assert.ok(authority.current().tokenKey.notAfterMs > clock())
    assert.ok(authority.current().issuer.notAfterMs > clock())
  })

  test('takes orders only in their order', async () => {
    const authority = await openTestAuthority()
    const refused = async (order: Parameters<Authority['order']>[0], why: RegExp) => {
      const outcome = await authority.order(order)
      assert.ok(!outcome.done)
      assert.match(outcome.why, why)
    }
    await refused({ kind: 'jwt', step: 'activate', force: false }, /prepare one first/)
    await refused({ kind: 'jwt', step: 'activate', force: true }, /prepare one first/)
    const { kid } = authority.current().tokenKey
    await refused({ kind: 'jwt', step: 'withdraw', id: kid }, /no retired key/)
    assert.deepEqual(await authority.order({ kind: 'jwt', step: 'prepare' }), { done: true })
    await refused({ kind: 'jwt', step: 'prepare' }, /prepared already/)
    await refused({ kind: 'jwt', step: 'activate', force: false }, /Try again in \d+ s/)
    assert.equal(authority.current().tokenKey.kid, kid)
    assert.deepEqual(await authority.order({ kind: 'jwt', step: 'activate', force: true }), {
      done: true,
    })
    assert.ok(kidsOf(authority).includes(kid))
    assert.deepEqual(await authority.order({ kind: 'jwt', step: 'withdraw', id: kid }), {
      done: true,
    })
    assert.ok(!kidsOf(authority).includes(kid))
  })

  test('changes nothing that could not be saved', async () => {
    let isFull = false
    const memory = memoryKeyStore()
    const store: KeyStore = {
      load: memory.load,
      save: async (state: KeyState) => {
        if (isFull) throw new Error('no space left')
        await memory.save(state)
      },
    }
    const { clock, pass } = fakeClock()
    const authority = await openTestAuthority(clock, { store })
    const before = authority.current()
    isFull = true
    pass(12 * hourMs)
    await assert.rejects(authority.rotate(), /no space left/)
    assert.equal(authority.current(), before)
    isFull = false
    assert.deepEqual(await authority.rotate(), [{ kind: 'jwt', step: 'prepare' }])
  })

  test('does one thing at a time', async () => {
    const authority = await openTestAuthority()
    const outcomes = await Promise.all(
      Array.from({ length: 5 }, () => authority.order({ kind: 'jwt', step: 'prepare' })),
    )
    assert.equal(outcomes.filter(({ done }) => done).length, 1)
  })

  test('goes on with the keys and the sequence that were stored', async () => {
    const store = memoryKeyStore()
    const first = await openTestAuthority(Date.now, { store })
    const second = await openTestAuthority(Date.now, { store })
    assert.equal(second.current().bundle.body, first.current().bundle.body)
  })

  test('refuses keys of another trust domain', async () => {
    const store = memoryKeyStore()
    await openTestAuthority(Date.now, { store })
    const other = parseTrustDomain('other.example')
    assert.ok(other.ok)
    await assert.rejects(
      openAuthority({ store, trustDomain: other.value, lifetimes, clock: Date.now, randomBytes }),
      /mesh\.example.*other\.example.*Remedy/,
    )
  })

  test('publishes beside its own keys what else certifies in the trust domain, and counts its changes over a restart', async () => {
    const store = memoryKeyStore()
    const first = makeRoot(trustDomain, 'first')
    const { use: _, ...jwk } = newSigningKey('theirs', 'RS256').jwk
    let besides: Besides = { roots: [first.der], intermediates: [], jwtKeys: [jwk] }
    const open = () => openTestAuthority(Date.now, { store, besides: () => besides })
    const read = async (from: Authority) => {
      const bundle = await acceptBundle(Buffer.from(from.current().bundle.body), trustDomain)
      assert.ok(bundle.ok)
      assert.deepEqual(bundle.value.ignored, [])
      return bundle.value
    }
    const authority = await open()
    const before = await read(authority)
    assert.equal(before.x509Roots, authority.current().rootsPem)
    assert.ok(before.x509Roots.endsWith(first.pem))
    assert.equal(before.authorities.roots.length, 2)
    assert.ok(before.jwtKeys.has('theirs') && before.jwtKeys.size === 2)
    assert.equal(kidsOf(authority).length, 1, 'they sign none of the tokens of our issuer')

    await authority.rotate()
    assert.equal((await read(authority)).sequence, before.sequence, 'nothing has changed')
    assert.equal((await read(await open())).sequence, before.sequence, 'nor over a restart')

    besides = { ...besides, roots: [makeRoot(trustDomain, 'second').der] }
    await authority.rotate()
    const after = await read(authority)
    assert.ok(Number(after.sequence) > Number(before.sequence))
    assert.ok(!after.x509Roots.includes(first.pem))
    besides = nothingBesides
    const alone = await read(await open())
    assert.ok(Number(alone.sequence) > Number(after.sequence), 'nor may it fall when all has gone')
    assert.equal(alone.authorities.roots.length, 1)
  })

  test('takes nothing besides for its own, and no key by the name of one of its own', async () => {
    let besides: Besides = nothingBesides
    const authority = await openTestAuthority(Date.now, { besides: () => besides })
    const { roots, intermediates, tokenKey } = authority.current()
    const { use: _, ...jwk } = newSigningKey(tokenKey.kid).jwk
    besides = { roots, intermediates, jwtKeys: [jwk] }
    await authority.rotate()
    const bundle = await acceptBundle(Buffer.from(authority.current().bundle.body), trustDomain)
    assert.ok(bundle.ok)
    assert.equal(bundle.value.authorities.roots.length, 1)
    assert.equal(bundle.value.authorities.intermediates.length, 1)
    assert.notEqual(bundle.value.jwtKeys.get(tokenKey.kid)?.jwk['x'], jwk['x'])
  })

  test('the sequence rises even over the loss of what was stored', async () => {
    const { clock, pass } = fakeClock()
    const before = bundleOf(await openTestAuthority(clock)).spiffe_sequence
    pass(1000)
    assert.ok(bundleOf(await openTestAuthority(clock)).spiffe_sequence > before)
  })
})
