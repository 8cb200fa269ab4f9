import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type TLSSocket } from 'node:tls'
import { after, suite, test } from 'node:test'
import { decodeProtectedHeader } from 'jose'
import type { TrustDomain } from '#contract/spiffe-id'
import { acceptBundle } from '#identity/svid/bundle'
import { makeRoot, makeSvid } from '#test/fakes/openssl'
import { fakeAgent, mapMessage, svidsMessage } from '#test/fakes/workload-api'
import { newSigningKey } from '#test/fakes/token-maker'
import { askAt, eventually, freePorts, ids, meshRig } from '#test/ways/rig'
import { newRequest, startTestExchange } from './running-exchange.ts'

const trustDomain = 'mesh.test' as TrustDomain
const orders = 'spiffe://mesh.test/orders'

/** An exchange whose identity comes from elsewhere, with a client that proves itself by a certificate of there. */
const setUp = async (identity: object) => {
  const rig = await meshRig()
  after(rig.close)
  const [port = 0] = await freePorts(1)
  const start = () =>
    rig.exchange(port, {
      identity,
      audiences: [orders],
      clients: { orders: { authentication: { method: 'tls_client_auth', spiffeId: orders } } },
      grants: [
        {
          name: 'orders',
          to: ['orders'],
          subjects: ['spiffe://mesh.test/people/*'],
          tokens: ['jwt-svid'],
          audiences: [orders],
        },
      ],
    })
  const running = await start()
  const { exchange } = running
  const bundle = async (roots = running.roots()) => {
    const answer = await askAt(exchange.port, roots, '/bundle')
    const read = await acceptBundle(Buffer.from(answer.text), trustDomain)
    assert.ok(read.ok)
    assert.deepEqual(read.value.ignored, [])
    return read.value
  }
  return { rig, port, start, running, bundle }
}

/** Who is there, by TLS, with these roots. */
const presentedAt = async (port: number, ca: string): Promise<X509Certificate> => {
  const socket: TLSSocket = connect({ port, host: '127.0.0.1', servername: 'localhost', ca })
  await once(socket, 'secureConnect')
  const certificate = socket.getPeerX509Certificate()
  socket.destroy()
  assert.ok(certificate)
  return certificate
}

const filesOf = (rig: { save: (name: string, text: string) => string }) => ({
  source: 'files',
  certificateFile: rig.save('own.pem', own.pem),
  keyFile: rig.save('own.key', own.keyPem),
  bundleFile: rig.save('own-roots.pem', root.pem),
})

const root = makeRoot(trustDomain, 'elsewhere')
const own = makeSvid(root, ids.exchange)
const ofClient = makeSvid(root, orders)

suite('an exchange whose identity comes from files', async () => {
  const folder = await meshRig()
  after(folder.close)
  const identity = filesOf(folder)
  const { rig, port, start, running, bundle } = await setUp(identity)

  test('presents that certificate, and what it publishes has the root behind it beside its own', async () => {
    const presented = await presentedAt(port, root.pem)
    assert.equal(presented.fingerprint256, new X509Certificate(own.pem).fingerprint256)
    const published = await bundle(root.pem)
    assert.equal(published.authorities.roots.length, 2)
    assert.ok(published.x509Roots.endsWith(root.pem))
    assert.equal(published.x509Roots, running.roots())
    assert.equal((await askAt(port, root.pem, '/bundle.pem')).text, running.roots())
    assert.equal(readFileSync(rig.at('keys/roots.pem'), 'utf8'), running.roots())
  })

  test('is known by what it publishes, to who goes by nothing else', async () => {
    const { x509Roots } = await bundle(root.pem)
    assert.equal((await presentedAt(port, x509Roots)).subjectAltName?.includes(ids.exchange), true)
    const partner = await startTestExchange({
      federation: {
        trustDomains: {
          [trustDomain]: {
            bundleEndpoint: {
              profile: 'https_spiffe',
              url: `https://localhost:${port}/bundle`,
              spiffeId: ids.exchange,
              bundleFile: rig.save('b.json', (await askAt(port, root.pem, '/bundle')).text),
            },
          },
        },
      },
    })
    after(partner.stop)
    const held = await eventually(async () => {
      const status = (await (await fetch(`${partner.urls.admin}/status`)).json()) as {
        federation: Record<string, { refreshedAtMs?: number; roots: number }>
      }
      const now = status.federation[trustDomain]
      return now?.refreshedAtMs === undefined ? undefined : now
    })
    assert.equal(held.roots, 2)
  })

  test('mints what its bundle verifies: certificates and tokens', async () => {
    const { csr } = newRequest()
    const joinToken = (
      await (
        await fetch(`${running.urls.admin}/join-tokens`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ spiffeId: ids.gateway }),
        })
      ).text()
    ).trim()
    const answer = await askAt(port, root.pem, '/svid/x509', {
      method: 'POST',
      headers: {
        'content-type': 'application/pkcs10',
        authorization: `Bearer ${(JSON.parse(joinToken) as { token: string }).token}`,
      },
      body: csr,
    })
    assert.equal(answer.status, 200, answer.text)
    const given = JSON.parse(answer.text) as { x509_svid: string; bundle: string }
    assert.equal(given.bundle, running.roots(), 'who gets a certificate can tell who else is here')
    const { authorities, jwtKeys } = await bundle(root.pem)
    const [leaf, intermediate] = given.x509_svid
      .split(/(?=-----BEGIN)/)
      .map((pem) => new X509Certificate(pem))
    assert.ok(leaf && intermediate && leaf.verify(intermediate.publicKey))
    assert.ok(authorities.roots.some(({ publicKey }) => intermediate.verify(publicKey)))

    const form = {
      client_id: 'orders',
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      requested_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      subject_token: rig.token(),
      audience: orders,
    }
    const minted = await askAt(port, root.pem, '/token', {
      method: 'POST',
      cert: ofClient.pem,
      key: ofClient.keyPem,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(form).toString(),
    })
    const { access_token: token = '' } = JSON.parse(minted.text) as Record<string, string>
    assert.equal(minted.status, 200, minted.text)
    assert.ok(jwtKeys.has(String(decodeProtectedHeader(token).kid)))
  })

  test('takes new files as they come, and what it publishes changes with them', async () => {
    const before = await bundle()
    const next = makeRoot(trustDomain, 'another')
    const renewed = makeSvid(next, ids.exchange)
    folder.save('own.pem', renewed.pem)
    folder.save('own.key', renewed.keyPem)
    folder.save('own-roots.pem', next.pem)
    const now = await eventually(async () => {
      const read = await bundle(root.pem + next.pem)
      return read.x509Roots.includes(next.pem) ? read : undefined
    })
    assert.ok(!now.x509Roots.includes(root.pem))
    assert.ok(Number(now.sequence) > Number(before.sequence))
    const { fingerprint256 } = new X509Certificate(renewed.pem)
    await eventually(async () => {
      const presented = await presentedAt(port, root.pem + next.pem)
      return presented.fingerprint256 === fingerprint256 ? true : undefined
    })
    assert.ok(running.roots().endsWith(next.pem))
  })

  test('starts again where it was, and not at all with files that do not fit', async () => {
    const before = await bundle()
    await running.close()
    const again = await start()
    const after = await askAt(again.exchange.port, again.roots(), '/bundle')
    assert.equal(
      (JSON.parse(after.text) as { spiffe_sequence: number }).spiffe_sequence,
      before.sequence,
    )
    await again.close()
    folder.save('own.key', own.keyPem)
    await assert.rejects(start(), /own\.key" is not the key of its `certificateFile`/)
  })
})

suite('an exchange whose identity comes from an agent', async () => {
  const agent = await fakeAgent()
  after(agent.remove)
  const theirs = newSigningKey('spire-1')
  agent.say('FetchX509SVID', svidsMessage([{ spiffeId: ids.exchange, leaf: own, root }]))
  agent.say('FetchX509Bundles', mapMessage(2, { [`spiffe://${trustDomain}`]: root.der }))
  const jwks = (...keys: object[]) =>
    mapMessage(1, { [`spiffe://${trustDomain}`]: JSON.stringify({ keys }) })
  agent.say('FetchJWTBundles', jwks({ ...theirs.jwk, use: 'jwt-svid' }))
  const { bundle, port, start, running } = await setUp({
    source: 'workload-api',
    socket: agent.socket,
  })

  test('publishes with its own keys those of the agent for JWT-SVIDs, and a change of them at once', async () => {
    const before = await bundle(root.pem)
    assert.ok(before.jwtKeys.has('spire-1') && before.jwtKeys.size === 2)
    assert.ok(before.x509Roots.endsWith(root.pem))
    const keys = await askAt(port, root.pem, '/keys')
    assert.ok(!keys.text.includes('spire-1'), 'it signs nothing in the name of the exchange')
    agent.say(
      'FetchJWTBundles',
      jwks({ ...newSigningKey('spire-2').jwk, use: 'jwt-svid' }, { ...theirs.jwk }),
    )
    const next = await eventually(async () => {
      const read = await bundle(root.pem)
      return read.jwtKeys.has('spire-2') ? read : undefined
    })
    assert.ok(next.jwtKeys.has('spire-1'))
    assert.ok(Number(next.sequence) > Number(before.sequence))
  })

  test('starts again with the same bundle and number', async () => {
    const { sequence } = await bundle(root.pem)
    await running.close()
    const again = await start()
    const answer = await askAt(port, root.pem, '/bundle')
    const { spiffe_sequence: now } = JSON.parse(answer.text) as { spiffe_sequence: number }
    assert.equal(now, sequence)
    await again.close()
  })
})
