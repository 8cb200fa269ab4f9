/**
 * What does one request to an upstream cost, by client? CPU time (user and system) of the client's process divided by
 * requests, with 64 requests always in flight over mTLS to nginx in a process of its own; every client in a process of
 * its own too, one after the other, several rounds. Ends with one line of JSON.
 *
 * Run: node node.js bench/h2-client.ts [--rounds 3] [--seconds 2]
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http2 from 'node:http2'
import { connect as connectTcp, createServer } from 'node:net'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { inspect, parseArgs } from 'node:util'
import { Client, Pool } from 'undici'
import { type Connect, h2Client } from '#http/h2-client/h2-client'

const inFlight = 64
const clients = ['own-h2', 'undici-http1', 'undici-h2', 'node-http2'] as const
type ClientName = (typeof clients)[number]

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '2' },
    client: { type: 'string' },
    port: { type: 'string', default: '0' },
    folder: { type: 'string', default: '' },
  },
})

type Tls = {
  readonly host: string
  readonly servername: string
  readonly ca: Buffer
  readonly key: Buffer
  readonly cert: Buffer
  readonly ciphers: string
}

/** Sends one request and calls back when its answer is whole. */
type Ask = (done: () => void) => void

const headers = ['accept', 'application/json', 'user-agent', 'bench/1', 'x-request-id', 'b7f2']
const headersObject = Object.fromEntries(
  headers.flatMap((name, at) => (at % 2 === 0 ? [[name, headers[at + 1] ?? '']] : [])),
)
const fail = (cause: unknown): never => {
  throw cause instanceof Error ? cause : new Error(inspect(cause))
}

const askers: Record<ClientName, (port: number, tls: Tls) => Ask> = {
  'own-h2': (port, tls) => {
    const connect: Connect = ({ onread }) =>
      new Promise((resolve) => {
        const options = { ...tls, port, ALPNProtocols: ['h2'], onread }
        const socket: TLSSocket = connectTls(options)
        socket.setNoDelay(true)
        socket.once('secureConnect', () => resolve({ ok: true, socket }))
        socket.once('error', (cause) => resolve({ ok: false, kind: 'unreachable', cause }))
      })
    const client = h2Client({ connect, limits: { maxConnections: 1 } })
    const request = {
      method: 'GET',
      path: '/',
      authority: 'localhost',
      headers,
      body: null,
      headersTimeoutMs: 10_000,
      idleTimeoutMs: 10_000,
    }
    const nothing = () => {}
    return (done) =>
      client.dispatch(request, {
        onStart: nothing,
        onHead: nothing,
        onData: nothing,
        onEnd: done,
        onError: fail,
      })
  },
  'undici-http1': (port, tls) =>
    undiciAsker(
      new Pool(`https://localhost:${port}`, { connections: inFlight, pipelining: 1, connect: tls }),
    ),
  'undici-h2': (port, tls) =>
    undiciAsker(
      new Client(`https://localhost:${port}`, {
        allowH2: true,
        pipelining: inFlight,
        maxConcurrentStreams: inFlight,
        connect: tls,
      }),
    ),
  'node-http2': (port, tls) => {
    const session = http2.connect(`https://localhost:${port}`, tls)
    return (done) => {
      const stream = session.request({ ':path': '/', ...headersObject })
      stream.on('data', () => {})
      stream.on('end', done)
      stream.on('error', fail)
    }
  },
}

const undiciAsker =
  (dispatcher: Pool | Client): Ask =>
  (done) => {
    dispatcher.dispatch(
      { path: '/', method: 'GET', headers },
      {
        onRequestStart: () => {},
        onResponseStart: () => {},
        onResponseData: () => {},
        onResponseEnd: done,
        onResponseError: (_, cause) => fail(cause),
      },
    )
  }

/** The child: keeps the requests going for so long, and prints microseconds of CPU a request. */
const measure = async (client: ClientName) => {
  const file = (name: string) => readFileSync(join(values.folder, name))
  const tls = {
    host: '127.0.0.1',
    servername: 'localhost',
    ca: file('cert.pem'),
    key: file('key.pem'),
    cert: file('cert.pem'),
    ciphers: 'TLS_AES_128_GCM_SHA256',
  }
  const ask = askers[client](Number(values.port), tls)
  let answered = 0
  let stopped = false
  // Asked in another turn than the answer came in, as a gateway does; undici costs half as much again otherwise.
  const next = () => {
    answered++
    setImmediate(again)
  }
  const again = () => {
    if (!stopped) ask(next)
  }
  for (let at = 0; at < inFlight; at++) ask(next)
  const wait = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  await wait(1)
  const before = process.cpuUsage()
  const answeredBefore = answered
  const startedMs = performance.now()
  await wait(Number(values.seconds))
  const { user, system } = process.cpuUsage(before)
  const count = answered - answeredBefore
  stopped = true
  const perSecond = (count / (performance.now() - startedMs)) * 1000
  process.stdout.write(JSON.stringify({ cpuMicros: (user + system) / count, perSecond }))
  process.exit(0)
}

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0))
    })
  })

const startNginx = async (folder: string): Promise<{ port: number; stop: () => void }> => {
  execFileSync(
    'openssl',
    // prettier-ignore
    ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')],
    { stdio: 'ignore' },
  )
  const port = await freePort()
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; master_process off; pid ${folder}/pid; error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path ${folder}/a; proxy_temp_path ${folder}/b; fastcgi_temp_path ${folder}/c;
  uwsgi_temp_path ${folder}/d; scgi_temp_path ${folder}/e;
  server {
    listen 127.0.0.1:${port} ssl http2; server_name localhost;
    ssl_certificate ${folder}/cert.pem; ssl_certificate_key ${folder}/key.pem;
    ssl_protocols TLSv1.3; ssl_client_certificate ${folder}/cert.pem; ssl_verify_client on;
    default_type application/json; http2_max_concurrent_streams 256;
    location / { return 200 '{"id":"0123456789","name":"something of an answer","items":[1,2,3,4,5,6,7,8,9],"padding":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}'; }
  }
}`,
  )
  const [command, ...args] = pinned(1, ['nginx', '-c', join(folder, 'nginx.conf'), '-p', folder])
  const nginx = spawn(command as string, args, { stdio: 'inherit' })
  for (let tries = 0; ; tries++) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connectTcp(port, '127.0.0.1', () => resolve(true))
      socket.on('connect', () => socket.destroy()).on('error', () => resolve(false))
    })
    if (open) break
    if (tries > 50) throw new Error('nginx does not start')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return { port, stop: () => void nginx.kill('SIGTERM') }
}

/** On a core of its own, where the machine has `taskset` and the cores. */
const pinned = (core: number, command: readonly string[]): string[] =>
  process.platform === 'linux' && cpus().length > 1
    ? ['taskset', '-c', String(core), ...command]
    : [...command]

const median = (figures: readonly number[]): number =>
  figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] ?? Number.NaN

const main = async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bench-h2-'))
  const { port, stop } = await startNginx(folder)
  const results = new Map<ClientName, { cpuMicros: number; perSecond: number }[]>()
  try {
    for (let round = 0; round < Number(values.rounds); round++)
      for (const client of clients) {
        const script = [process.execPath, import.meta.filename, '--client', client]
        const where = ['--port', String(port), '--folder', folder, '--seconds', values.seconds]
        const [command, ...args] = pinned(0, [...script, ...where])
        const output = execFileSync(command as string, args, { encoding: 'utf8' })
        const before = results.get(client) ?? []
        results.set(client, [...before, JSON.parse(output)])
      }
  } finally {
    stop()
    rmSync(folder, { recursive: true })
  }
  const summary = clients.map((client) => {
    const rounds = results.get(client) ?? []
    const micros = rounds.map(({ cpuMicros }) => cpuMicros)
    return {
      client,
      cpuMicros: median(micros),
      lowest: Math.min(...micros),
      highest: Math.max(...micros),
      perSecond: median(rounds.map(({ perSecond }) => perSecond)),
    }
  })
  console.log(`${new Date().toISOString()}, Node ${process.version}, ${cpus()[0]?.model}`)
  console.log('client          CPU µs a request (spread)   requests/s')
  for (const { client, cpuMicros, lowest, highest, perSecond } of summary)
    console.log(
      `${client.padEnd(14)}  ${cpuMicros.toFixed(1).padStart(6)} (${lowest.toFixed(1)} to ${highest.toFixed(1)})`.padEnd(
        44,
      ) + perSecond.toFixed(0).padStart(10),
    )
  const own = summary[0]?.cpuMicros ?? Number.NaN
  const ratios = summary.map(({ client, cpuMicros }) => [
    client,
    Number((own / cpuMicros).toFixed(3)),
  ])
  console.log(JSON.stringify({ bench: 'h2-client', ownOver: Object.fromEntries(ratios) }))
}

await (values.client === undefined ? main() : measure(values.client as ClientName))
