import { spawn, type ChildProcess } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeWebCertificate } from '#test/fakes/https-server'

type Json = Readonly<Record<string, unknown>>

export type Apiserver = {
  /** Where it is, and its `--service-account-issuer`. */
  readonly url: string
  /** PEM of the cluster's CA. */
  readonly ca: string
  /** Asks as an administrator. Throws for what is not 2xx, unless that is what is waited for. */
  readonly ask: (method: string, path: string, body?: Json) => Promise<Json>
  /** A projected token: what kubelet asks for and puts into a pod, bound to it if one is named. */
  readonly tokenOf: (
    account: { readonly namespace: string; readonly name: string; readonly pod?: string },
    audience?: string,
  ) => Promise<string>
  /** Stands still without ending, as a control plane that is cut off. */
  readonly pause: () => void
  readonly resume: () => void
  readonly close: () => Promise<void>
}

const startTimeoutMs = 200_000
const pollMs = 200
const adminToken = 'administrator-of-this-test'

/** Starts a real etcd and a real kube-apiserver with RBAC. No controllers: pods stay pending, and nothing is made by itself. */
export const runApiserver = async (etcd: string, kubeApiserver: string): Promise<Apiserver> => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-kubernetes-'))
  const at = (name: string) => join(folder, name)
  const [etcdPort, etcdPeerPort, port] = await freePorts()
  const url = `https://127.0.0.1:${port}`
  const { ca, server } = makeWebCertificate()
  const accounts = generateKeyPairSync('rsa', { modulusLength: 2048 })
  writeFileSync(at('ca.pem'), ca)
  writeFileSync(at('server.pem'), server.pem)
  writeFileSync(at('server.key'), server.keyPem, { mode: 0o600 })
  writeFileSync(at('accounts.key'), pemOf(accounts.privateKey, 'pkcs8'), { mode: 0o600 })
  writeFileSync(at('accounts.pub'), pemOf(accounts.publicKey, 'spki'))
  writeFileSync(at('tokens.csv'), `${adminToken},admin,admin,"system:masters"\n`)

  const children: ChildProcess[] = []
  let said = ''
  const start = (command: string, args: readonly string[]) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4000)))
    children.push(child)
    return child
  }
  const hasEnded = () =>
    children.some(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null)
  const close = async () => {
    const ended = children
      .filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)
      .map((child) => once(child, 'exit'))
    for (const child of children) child.kill('SIGKILL')
    await Promise.all(ended)
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }

  const peer = `http://127.0.0.1:${etcdPeerPort}`
  start(etcd, [
    `--data-dir=${at('etcd')}`,
    '--unsafe-no-fsync',
    `--listen-client-urls=http://127.0.0.1:${etcdPort}`,
    `--advertise-client-urls=http://127.0.0.1:${etcdPort}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
  ])
  const apiserver = start(kubeApiserver, [
    `--etcd-servers=http://127.0.0.1:${etcdPort}`,
    '--bind-address=127.0.0.1',
    '--endpoint-reconciler-type=none',
    `--secure-port=${port}`,
    `--tls-cert-file=${at('server.pem')}`,
    `--tls-private-key-file=${at('server.key')}`,
    `--client-ca-file=${at('ca.pem')}`,
    `--token-auth-file=${at('tokens.csv')}`,
    '--authorization-mode=RBAC',
    `--service-account-issuer=${url}`,
    `--service-account-jwks-uri=${url}/openid/v1/jwks`,
    `--api-audiences=${url}`,
    `--service-account-key-file=${at('accounts.pub')}`,
    `--service-account-signing-key-file=${at('accounts.key')}`,
    '--service-cluster-ip-range=10.0.0.0/24',
    '--disable-admission-plugins=ServiceAccount',
  ])

  const send = (method: string, path: string, body?: Json) =>
    new Promise<{ status: number; text: string }>((resolve, reject) => {
      const asked = request(
        `${url}${path}`,
        {
          method,
          ca,
          agent: false,
          headers: {
            authorization: `Bearer ${adminToken}`,
            ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          },
        },
        (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('error', reject)
          response.on('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              text: Buffer.concat(chunks).toString(),
            }),
          )
        },
      )
      asked.on('error', reject)
      asked.end(body === undefined ? undefined : JSON.stringify(body))
    })
  const ask: Apiserver['ask'] = async (method, path, body) => {
    const { status, text } = await send(method, path, body)
    if (status < 200 || status > 299) throw new Error(`${method} ${path}: ${status} ${text}`)
    return JSON.parse(text) as Json
  }

  const untilMs = performance.now() + startTimeoutMs
  const isReady = () =>
    send('GET', '/readyz').then(
      ({ status }) => status === 200,
      () => false,
    )
  while (!(await isReady())) {
    if (hasEnded() || performance.now() > untilMs) {
      await close()
      throw new Error(`kube-apiserver did not start:\n${said}`)
    }
    await sleep(pollMs)
  }

  return {
    url,
    ca,
    ask,
    tokenOf: async ({ namespace, name, pod }, audience) => {
      const bound =
        pod === undefined ? {} : { boundObjectRef: await reference(ask, namespace, pod) }
      const answer = await ask(
        'POST',
        `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`,
        {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenRequest',
          spec: {
            audiences: [audience ?? url],
            expirationSeconds: 600,
            ...bound,
          },
        },
      )
      return String((answer['status'] as Json)['token'])
    },
    pause: () => void apiserver.kill('SIGSTOP'),
    resume: () => void apiserver.kill('SIGCONT'),
    close,
  }
}

const reference = async (ask: Apiserver['ask'], namespace: string, pod: string) => {
  const { metadata } = await ask('GET', `/api/v1/namespaces/${namespace}/pods/${pod}`)
  return { apiVersion: 'v1', kind: 'Pod', name: pod, uid: (metadata as Json)['uid'] }
}

const pemOf = (key: ReturnType<typeof generateKeyPairSync>['publicKey'], type: 'pkcs8' | 'spki') =>
  (key as unknown as { export: (how: object) => string | Buffer })
    .export({ type, format: 'pem' })
    .toString()

const freePorts = async (): Promise<readonly [number, number, number]> => {
  const servers = [0, 0, 0].map(() => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const [a = 0, b = 0, c = 0] = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(
    servers.map(async (server) => {
      server.close()
      await once(server, 'close')
    }),
  )
  return [a, b, c]
}
