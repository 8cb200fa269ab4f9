// What the environment says of proxies is for others: everything goes out by the one dial function, whatever it says.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import { createServer, type AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { EnvHttpProxyAgent, getGlobalDispatcher, setGlobalDispatcher } from 'undici'
import { runHttp, runHttps } from '#test/fakes/https-server'
import { certificates, runRig, shop } from './rig.ts'

let visits = 0
const trap = createServer((socket) => {
  visits += 1
  socket.on('error', () => {}).destroy()
})
await once(trap.listen(0, '127.0.0.1'), 'listening')
after(() => trap.close())
const proxy = `http://127.0.0.1:${(trap.address() as AddressInfo).port}`

// What Node does itself at its start under NODE_USE_ENV_PROXY=1, and the variables that others read.
const proxyEnv = { HTTP_PROXY: proxy, HTTPS_PROXY: proxy, http_proxy: proxy, https_proxy: proxy }
const before = { http: http.globalAgent, https: https.globalAgent, undici: getGlobalDispatcher() }
Object.assign(process.env, proxyEnv, { ALL_PROXY: proxy })
http.globalAgent = new http.Agent({ proxyEnv })
https.globalAgent = new https.Agent({ proxyEnv })
setGlobalDispatcher(new EnvHttpProxyAgent({ httpProxy: proxy, httpsProxy: proxy }))
after(() => {
  for (const name of [...Object.keys(proxyEnv), 'ALL_PROXY']) delete process.env[name]
  http.globalAgent = before.http
  https.globalAgent = before.https
  setGlobalDispatcher(before.undici)
})

const certs = certificates()
const plain = await runHttp((_req, res) => void res.end('plain'))
const secured = await runHttps(certs.outside('DNS:api.lan'), (_req, res) => void res.end('secured'))
after(plain.close)
after(secured.close)
const opens = ['127.0.0.0/8']
const rig = await runRig(certs, {
  rules: [
    {
      id: 'shop',
      destinations: [
        { hosts: ['api.lan'], protocol: 'http', ports: [plain.port], opens },
        { hosts: ['api.lan'], protocol: 'https', ports: [secured.port], opens },
        { hosts: ['api.lan'], protocol: 'tcp', ports: [plain.port], opens },
      ],
    },
  ],
})
rig.dns.set('api.lan', [{ type: 'A', address: '127.0.0.1' }])

test('proxies that the environment names are not asked', async () => {
  await assert.rejects(
    new Promise((resolve, reject) => {
      http.get(`http://127.0.0.2:${plain.port}/`, resolve).on('error', reject)
    }),
  )
  assert.equal(visits, 1, 'they would be asked by whoever goes by them')
  for (const [port, body] of [
    [plain.port, 'plain'],
    [secured.port, 'secured'],
  ] as const) {
    const wire = await rig.dialProxy(shop)
    wire.write(`GET http://api.lan:${port}/ HTTP/1.1\r\nHost: api.lan:${port}\r\n\r\n`)
    assert.equal((await wire.answer()).body, body)
    wire.destroy()
  }
  const { wire, answer } = await rig.connect(`api.lan:${plain.port}`)
  assert.equal(answer.status, 200)
  wire.destroy()
  assert.equal(visits, 1)
})
