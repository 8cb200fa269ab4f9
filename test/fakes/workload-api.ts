import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Server, ServerCredentials, type Metadata, type ServerWritableStream } from '@grpc/grpc-js'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import type { MadeCertificate } from './openssl.ts'

type Call = ServerWritableStream<Buffer, Buffer>

/** A length-delimited field of protobuf. */
export const field = (number: number, value: Buffer | string): Buffer => {
  const bytes = Buffer.from(value)
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes])
}

const varint = (value: number): Buffer => {
  const bytes: number[] = []
  for (; value >= 0x80; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80)
  return Buffer.from([...bytes, value])
}

export type GivenSvid = {
  readonly spiffeId: string
  readonly leaf: MadeCertificate
  readonly root: MadeCertificate
  /** By default that of the leaf. */
  readonly keyPem?: string
}

const derOf = (pem: string) => new X509Certificate(pem).raw

/** X509SVIDResponse. */
export const svidsMessage = (svids: readonly GivenSvid[]): Buffer =>
  Buffer.concat(
    svids.map(({ spiffeId, leaf, root, keyPem = leaf.keyPem }) =>
      field(
        1,
        Buffer.concat([
          field(1, spiffeId),
          field(2, derOf(leaf.pem)),
          field(3, createPrivateKey(keyPem).export({ type: 'pkcs8', format: 'der' })),
          field(4, derOf(root.pem)),
        ]),
      ),
    ),
  )

/** X509BundlesResponse (2) or JWTBundlesResponse (1). */
export const mapMessage = (number: number, entries: Record<string, Buffer | string>): Buffer =>
  Buffer.concat(
    Object.entries(entries).map(([key, value]) =>
      field(number, Buffer.concat([field(1, key), field(2, value)])),
    ),
  )

export type FakeAgent = {
  readonly socket: string
  /** What each stream is told, now and when it begins. */
  readonly say: (method: string, message: Buffer) => void
  /** Ends all streams so, and begins none. */
  readonly fail: (code: number | undefined, details?: string) => void
  readonly asked: readonly { readonly method: string; readonly header: readonly unknown[] }[]
  readonly open: () => number
  readonly start: () => Promise<void>
  readonly stop: () => void
  readonly remove: () => void
}

/** An agent for the faults that SPIRE does not have. What speaks gRPC is not ours. */
export const fakeAgent = async (): Promise<FakeAgent> => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-agent-'))
  const socket = `unix://${join(folder, 'a.sock')}`
  const said = new Map<string, Buffer>()
  const asked: { method: string; header: readonly unknown[] }[] = []
  const open = new Map<Call, string>()
  let refusal: { code: number; details: string } | undefined
  let server: Server | undefined
  const streaming = (method: string) => ({
    path: `/SpiffeWorkloadAPI/${method}`,
    requestStream: false,
    responseStream: true,
    requestDeserialize: (bytes: Buffer) => bytes,
    requestSerialize: (bytes: Buffer) => bytes,
    responseDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: (bytes: Buffer) => bytes,
  })
  const handle = (method: string) => (call: Call) => {
    const metadata: Metadata = call.metadata
    asked.push({ method, header: metadata.get('workload.spiffe.io') })
    if (refusal) return void call.emit('error', refusal)
    open.set(call, method)
    call.on('cancelled', () => open.delete(call))
    const first = said.get(method)
    if (first) call.write(first)
  }
  const methods = ['FetchX509SVID', 'FetchX509Bundles', 'FetchJWTBundles']
  const start = async () => {
    rmSync(socket.slice('unix://'.length), { force: true })
    const starting = new Server()
    starting.addService(
      Object.fromEntries(methods.map((method) => [method, streaming(method)])),
      Object.fromEntries(methods.map((method) => [method, handle(method)])),
    )
    await new Promise<void>((resolve, reject) =>
      starting.bindAsync(socket, ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      ),
    )
    server = starting
  }
  await start()
  return {
    socket,
    say: (method, message) => {
      said.set(method, message)
      for (const [call, of] of open) if (of === method) call.write(message)
    },
    fail: (code, details = 'no reason') => {
      refusal = code === undefined ? undefined : { code, details }
      if (refusal) for (const call of open.keys()) call.emit('error', refusal)
      if (refusal) open.clear()
    },
    asked,
    open: () => open.size,
    start,
    stop: () => {
      open.clear()
      server?.forceShutdown()
    },
    remove: () => {
      server?.forceShutdown()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
