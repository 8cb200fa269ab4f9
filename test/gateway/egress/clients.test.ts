// Clients as they are, told of the proxy by what they all understand.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, suite, test } from 'node:test'
import { inspect } from 'node:util'
import { fetch as fetchWith, ProxyAgent } from 'undici'
import { runHttps } from '#test/fakes/https-server'
import { findTool, without } from '#test/tools'
import { runInspectionRig } from './inspection-rig.ts'
import { certificates, shop } from './rig.ts'

const certs = certificates()
const api = await runHttps(certs.outside('DNS:api.test, DNS:seen.test'), (req, res) =>
  res.end(req.headers.via === undefined ? 'hello' : 'hello, seen'),
)
after(api.close)
const destination = { ports: [api.port], opens: ['127.0.0.0/8'] }
const rig = await runInspectionRig(certs, ['seen.test'], {
  rules: [
    {
      id: 'shop',
      destinations: [
        { ...destination, hosts: ['api.test'] },
        { ...destination, hosts: ['seen.test'], protocol: 'tls-inspected' },
      ],
    },
  ],
})
for (const name of ['api.test', 'seen.test'])
  rig.dns.set(name, [{ type: 'A', address: '127.0.0.1' }])
const svid = certs.workload(shop)
const proxy = `https://127.0.0.1:${rig.port}`
const certificate = rig.file('shop.pem', svid.pem)
const key = rig.file('shop.key', svid.keyPem)
// What a workload trusts: the outside, and the inspection CA.
const trusted = certs.outsideRoot.pem + rig.ca
const ca = rig.file('trusted.pem', trusted)
const allowed = `https://api.test:${api.port}/`
const inspectedUrl = `https://seen.test:${api.port}/`
const refusedUrl = 'https://evil.test/'

const run = (file: string, args: readonly string[], env: Record<string, string> = {}) =>
  new Promise<{ code: number; out: string }>((resolve) => {
    const child = execFile(
      file,
      [...args],
      { env: { ...process.env, ...env }, timeout: 60_000 },
      (_error, stdout, stderr) => resolve({ code: child.exitCode ?? -1, out: stdout + stderr }),
    )
  })

/** Of several Pythons on a machine one that has `requests`. */
const pythonWithRequests = async () => {
  for (const python of [findTool('python3'), 'python3'])
    if (python && (await run(python, ['-c', 'import requests'])).code === 0) return python
  return undefined
}
// All that is waited for comes before the first suite: once the suites known so far are done, the rig ends.
const python = await pythonWithRequests()

suite('curl', without({ curl: findTool('curl') }), () => {
  const curl = (url: string) =>
    run(
      'curl',
      ['-sSv', '--max-time', '60', '--cacert', ca, url].concat([
        '--proxy-cacert',
        ca,
        '--proxy-cert',
        certificate,
        '--proxy-key',
        key,
      ]),
      { HTTPS_PROXY: proxy },
    )
  test('gets through', async () => {
    const { code, out } = await curl(allowed)
    assert.equal(code, 0, out)
    assert.match(out, /hello/)
  })
  test('gets through to a host that is looked into, over HTTP/2', async () => {
    const { code, out } = await curl(inspectedUrl)
    assert.equal(code, 0, out)
    assert.match(out, /hello, seen/)
    assert.match(out, /HTTP\/2 200/)
  })
  test('is refused elsewhere, and told why', async () => {
    const { code, out } = await curl(refusedUrl)
    assert.notEqual(code, 0)
    assert.match(out, /response 403/)
    assert.match(out, /x-sallyport-error: destination-denied/i)
  })
})

suite('fetch of Node with a proxy agent', () => {
  const agent = new ProxyAgent({
    uri: proxy,
    proxyTls: { ca: certs.outsideRoot.pem, cert: svid.pem, key: svid.keyPem },
    requestTls: { ca: trusted },
  })
  after(() => agent.close())
  test('gets through', async () => {
    const answer = await fetchWith(allowed, { dispatcher: agent })
    assert.equal(await answer.text(), 'hello')
  })
  test('gets through to a host that is looked into', async () => {
    const answer = await fetchWith(inspectedUrl, { dispatcher: agent })
    assert.equal(await answer.text(), 'hello, seen')
  })
  test('is refused elsewhere', async () => {
    await assert.rejects(fetchWith(refusedUrl, { dispatcher: agent }), (error: Error) =>
      /403/.test(inspect(error, { depth: 6 })),
    )
  })
})

suite('requests of Python', without({ 'python3 with requests': python }), () => {
  // Proxies with client certificates need an SSL context of one's own there.
  const script = `
import ssl, sys, requests
from requests.adapters import HTTPAdapter
context = ssl.create_default_context(cafile=sys.argv[1])
context.load_cert_chain(sys.argv[2], sys.argv[3])
class WithIdentity(HTTPAdapter):
    def proxy_manager_for(self, proxy, **more):
        return super().proxy_manager_for(proxy, proxy_ssl_context=context, **more)
session = requests.Session()
session.mount('https://', WithIdentity())
print(session.get(sys.argv[4], verify=sys.argv[1], timeout=10).text)
`
  const ask = (url: string) =>
    run(python ?? '', ['-c', script, ca, certificate, key, url], { HTTPS_PROXY: proxy })
  test('gets through', async () => {
    const { code, out } = await ask(allowed)
    assert.equal(code, 0, out)
    assert.match(out, /hello/)
  })
  test('gets through to a host that is looked into', async () => {
    const { code, out } = await ask(inspectedUrl)
    assert.equal(code, 0, out)
    assert.match(out, /hello, seen/)
  })
  test('is refused elsewhere', async () => {
    const { code, out } = await ask(refusedUrl)
    assert.notEqual(code, 0)
    assert.match(out, /403 Forbidden: destination-denied/)
  })
})

suite('net/http of Go', without({ go: findTool('go') }), () => {
  const source = `package main
import ("crypto/tls"; "crypto/x509"; "fmt"; "io"; "net/http"; "os")
func main() {
  pem, _ := os.ReadFile(os.Args[1])
  roots := x509.NewCertPool()
  roots.AppendCertsFromPEM(pem)
  identity, err := tls.LoadX509KeyPair(os.Args[2], os.Args[3])
  if err != nil { panic(err) }
  client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment,
    TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{identity}}}}
  answer, err := client.Get(os.Args[4])
  if err != nil { fmt.Println(err); os.Exit(1) }
  body, _ := io.ReadAll(answer.Body)
  fmt.Println(string(body))
}
`
  const file = rig.file('main.go', source)
  const ask = (url: string) =>
    run('go', ['run', file, ca, certificate, key, url], { HTTPS_PROXY: proxy, GO111MODULE: 'off' })
  test('gets through', async () => {
    const { code, out } = await ask(allowed)
    assert.equal(code, 0, out)
    assert.match(out, /hello/)
  })
  test('gets through to a host that is looked into', async () => {
    const { code, out } = await ask(inspectedUrl)
    assert.equal(code, 0, out)
    assert.match(out, /hello, seen/)
  })
  test('is refused elsewhere', async () => {
    const { code, out } = await ask(refusedUrl)
    assert.notEqual(code, 0)
    assert.match(out, /Forbidden: destination-denied/)
  })
})
