import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { Agent } from 'node:https'
import { after, test } from 'node:test'
import { makeCertificate, makeRoot, makeSvid } from '#test/fakes/openssl'
import { meshRig, openRoute } from './rig.ts'

const rig = await meshRig()
after(rig.close)
const service = await rig.service((_req, res) => res.end('let in'))
const partners = makeRoot('partners.example')
const others = makeRoot('others.example')
const rootsFile = rig.save('partners.pem', partners.pem)
const configuration = {
  upstreams: { service: { endpoints: [service.url], spiffeId: 'spiffe://mesh.test/service' } },
  routes: [
    openRoute('open', '/open'),
    openRoute('any', '/any', { clientCertificate: {} }),
    openRoute('one', '/one', {
      clientCertificate: { names: ['spiffe://partners.example/a', 'Client.Partner.Test'] },
    }),
  ],
  listeners: {
    ingress: { tls: { certificates: [rig.ingressFiles], clientCertificates: { rootsFile } } },
  },
}
const gateway = await rig.gateway('gateway', configuration)

type Shown = { readonly pem: string; readonly keyPem: string } | undefined
const ask = async (path: string, shown: Shown, options: object = {}) => {
  const { status, headers } = await gateway.ask(path, {
    ...(shown && { cert: shown.pem, key: shown.keyPem }),
    ...options,
  })
  return headers['x-sallyport-problem'] ?? status
}
const a = makeSvid(partners, 'spiffe://partners.example/a', [])
const b = makeSvid(partners, 'spiffe://partners.example/b', [])
const stranger = makeSvid(others, 'spiffe://partners.example/a', [])
const named = makeCertificate({
  issuer: partners,
  subject: '/CN=x',
  extensions: ['subjectAltName = DNS:client.partner.test'],
})
const byCommonName = makeCertificate({
  issuer: partners,
  subject: '/CN=client.partner.test',
  extensions: ['subjectAltName = DNS:other.partner.test'],
})
const selfSigned = makeCertificate({
  subject: '/CN=x',
  extensions: ['subjectAltName = URI:spiffe://partners.example/a'],
})

const no = 'client-certificate-refused'
for (const [who, shown, open, any, one] of [
  ['nobody', undefined, 200, no, no],
  ['who is named by a URI', a, 200, 200, 200],
  ['who is named by a host name', named, 200, 200, 200],
  ['who is trusted and not named', b, 200, 200, no],
  ['who is named by the common name alone', byCommonName, 200, 200, no],
  ['whom another root vouches for', stranger, 200, no, no],
  ['who vouches for themselves', selfSigned, 200, no, no],
] as const)
  test(`${who} gets in where that is enough`, async () => {
    assert.deepEqual(
      [await ask('/open', shown), await ask('/any', shown), await ask('/one', shown)],
      [open, any, one],
    )
  })

test('other roots are taken at a reload, for new connections', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  assert.equal(await ask('/any', a, { agent }), 200)
  writeFileSync(rootsFile, others.pem)
  await gateway.change(configuration)
  assert.equal(await ask('/any', a, { agent }), 200)
  assert.equal(await ask('/any', a), no)
  assert.equal(await ask('/any', stranger), 200)
  agent.destroy()
})
