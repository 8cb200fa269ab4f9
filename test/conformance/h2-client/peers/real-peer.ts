import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { fileURLToPath } from 'node:url'
import type { Connect } from '#http/h2-client/h2-client'

/** A server of other people's making, over TLS with the certificates of `test/fixtures/tls`. */
export type RealPeer = {
  readonly port: number
  readonly stop: () => Promise<void>
}

/** What a peer serves, beside the paths that every one serves: /hello and /big. */
export type Ability = 'echo' | 'statuses' | 'trailers' | 'informational' | 'never' | 'varied'

export const bigBytes = 3_000_000

const fixture = (name: string) => new URL(`../../../fixtures/tls/${name}`, import.meta.url)
export const tlsPath = (name: string): string => fileURLToPath(fixture(name))
export const tlsFile = (name: string): Buffer => readFileSync(fixture(name))

/** mTLS with ALPN, by `onread`. */
export const tls =
  (port: number): Connect =>
  ({ onread, signal }) =>
    new Promise((resolve) => {
      const options = {
        port,
        host: '127.0.0.1',
        servername: 'localhost',
        ca: tlsFile('ca.pem'),
        cert: tlsFile('client.pem'),
        key: tlsFile('client.key.pem'),
        ALPNProtocols: ['h2'],
        onread,
      }
      const socket = connectTls(options)
      signal.addEventListener('abort', () => socket.destroy(), { once: true })
      socket.setNoDelay(true)
      socket.once('secureConnect', () => resolve({ ok: true, socket }))
      socket.once('error', (cause) => resolve({ ok: false, kind: 'unreachable', cause }))
    })

export const freePort = async (): Promise<number> => {
  const server = createTcpServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** An HTTP/1.1 service, for the peers that are proxies. */
export const startService = async (): Promise<{ port: number; server: Server }> => {
  let count = 0
  const server = createServer((req, res) => {
    switch (req.url) {
      case '/big':
        res.end(Buffer.alloc(bigBytes, 'b'))
        return
      case '/echo':
        req.pipe(res)
        return
      case '/204':
      case '/304':
        res.writeHead(Number(req.url.slice(1))).end()
        return
      case '/varied':
        res.setHeader('x-request-id', `${++count}-${'r'.repeat(count % 40)}`)
        res.end(req.headers['x-asked'])
        return
      case '/never':
        return
      default:
        res.end('hello')
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, server }
}

/** Starts a program and waits until it listens. */
export const startProgram = async (
  command: string,
  args: readonly string[],
  port: number,
): Promise<ChildProcess> => {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let complaints = ''
  child.stderr?.on('data', (text: Buffer) => (complaints += text.toString()))
  const endMs = performance.now() + 15_000
  while (!(await listens(port))) {
    if (child.exitCode !== null || performance.now() > endMs) {
      child.kill('SIGKILL')
      throw new Error(`${command} does not start: ${complaints.slice(-2_000)}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 30))
  }
  return child
}

export const stopProgram = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 3_000)
  await exited
  clearTimeout(timer)
}

const listens = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connectTcp(port, '127.0.0.1')
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
