// Much through many tunnels at one time: each byte arrives where it belongs, however slowly it is taken.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { after, suite, test } from 'node:test'
import { connect as connectTls, createServer as createTls } from 'node:tls'
import { systemClock } from '#contract/clock'
import { accounts } from '#gateway/egress/accounts'
import { dial } from '#gateway/egress/dial'
import { readBuffers, type Reader, type ReadBuffers } from '#gateway/egress/read-buffers'
import { tunnels } from '#gateway/egress/tunnels'
import { certificates, runRig, shop } from './rig.ts'

const block = randomBytes(1_048_583) // of no round size, so that a part in another's place shows
const bytesOf = (seed: number, length: number): Buffer => {
  const all = Buffer.alloc(length)
  for (let at = 0; at < length; at += block.length) block.copy(all, at)
  all.writeUInt32BE(seed, 0)
  for (let at = 65_536; at + 4 < length; at += 65_536) all.writeUInt32BE(seed * 65_537 + at, at)
  return all
}
const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

/** Sends `length` bytes of a seed, and speaks first where it is asked for nothing. */
const destination = createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => {}).write('ready\n')
  socket.once('data', (asked: Buffer) => {
    const [seed = 0, length = 0] = asked.toString().trim().split(' ').map(Number)
    socket.end(bytesOf(seed, length))
  })
})
await once(destination.listen(0, '127.0.0.1'), 'listening')
const { port } = destination.address() as AddressInfo
after(() => destination.close())
const rig = await runRig(certificates(), {
  rules: [
    {
      id: 'shop',
      destinations: [
        { hosts: ['bulk.lan'], ports: [port], protocol: 'tcp', opens: ['127.0.0.0/8'] },
      ],
    },
  ],
})
rig.dns.set('bulk.lan', [{ type: 'A', address: '127.0.0.1' }])

const fetched = async (seed: number, length: number, isSlow: boolean): Promise<Buffer> => {
  const { wire, answer } = await rig.connect(`bulk.lan:${port}`)
  assert.equal(answer.status, 200)
  const { socket } = wire
  await wire.until(/ready\n/)
  socket.removeAllListeners('data')
  const parts: Buffer[] = []
  socket.on('data', (chunk: Buffer) => {
    parts.push(chunk)
    if (!isSlow) return
    socket.pause()
    setImmediate(() => setImmediate(() => socket.resume()))
  })
  const ended = once(socket, 'end')
  socket.write(`${seed} ${length}\n`)
  await ended
  wire.destroy()
  return Buffer.concat(parts)
}

test('many tunnels at one time, fast ones and slow ones, get what is theirs', async () => {
  const lengths = [5, 40_000, 1_500_000, 4_000_001]
  const all = Array.from({ length: 16 }, (_, i) => ({
    seed: i + 1,
    length: lengths[i % lengths.length] ?? 0,
    isSlow: i % 3 === 0,
  }))
  const got = await Promise.all(
    all.map(({ seed, length, isSlow }) => fetched(seed, length, isSlow)),
  )
  for (const [i, { seed, length }] of all.entries()) {
    assert.equal(got[i]?.length, length)
    assert.equal(digest(got[i] ?? Buffer.alloc(0)), digest(bytesOf(seed, length)), String(i))
  }
  assert.deepEqual(rig.bugs, [])
})

test('tunnels that break off in the middle of much give back what they read into', async () => {
  const { pem, keyPem } = certificates().proxy
  const buffers = readBuffers()
  const readInto = new Set<Uint8Array>()
  const reads: ReadBuffers = {
    reader: () => {
      const reader = buffers.reader()
      const buffer = () => {
        const given = next(reader)
        readInto.add(given)
        return given
      }
      return { ...reader, onread: { ...reader.onread, buffer } }
    },
  }
  const open = tunnels(accounts(), systemClock)
  const ended: Promise<unknown>[] = []
  const opened: Socket[] = []
  const proxy = createTls({ cert: pem, key: keyPem }, (workload) => {
    void dial({
      addresses: ['127.0.0.1'],
      port,
      timeoutMs: 10_000,
      signal: new AbortController().signal,
      reads,
    }).then((dialled) => {
      assert.ok(dialled.ok)
      const { socket: to, reader } = dialled.value
      opened.push(to)
      const tunnel = {
        workload,
        destination: to,
        reader,
        limits: undefined,
        spiffeId: shop as never,
      }
      ended.push(open.open(tunnel, Buffer.from('1 8000000\n')).ended)
    })
  }).on('tlsClientError', () => {})
  await once(proxy.listen(0, '127.0.0.1'), 'listening')
  for (let i = 0; i < 12; i += 1) {
    const client = connectTls({
      port: (proxy.address() as AddressInfo).port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
    }).on('error', () => {})
    let bytes = 0
    await new Promise<void>((resolve) => {
      client.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes < 500_000) return
        client.pause() // so that writes are held up when it ends
        resolve()
      })
    })
    if (i % 2 === 0) client.destroy()
    else opened.at(-1)?.resetAndDestroy()
    await new Promise((resolve) => setImmediate(resolve))
    client.destroy()
    await ended.at(-1)
  }
  proxy.close()
  open.close()
  assert.equal(ended.length, 12)
  assert.ok(readInto.size > 2, 'none had one for itself')
  const shared = next(buffers.reader())
  const own = Array.from({ length: 70 }, () => getsOwn(buffers.reader(), shared))
  assert.equal(own.filter((one) => one !== undefined).length, 64)
})

const socket = { resume: () => {} } as never
const next = ({ onread }: Reader) =>
  typeof onread.buffer === 'function' ? onread.buffer() : onread.buffer
const read = (reader: Reader, into: Uint8Array, fill: number, bytes: number) => {
  into.fill(fill, 0, bytes)
  return reader.onread.callback(bytes, into)
}
const getsOwn = (reader: Reader, shared: Uint8Array) => {
  reader.start(socket, (_chunk, done) => done())
  read(reader, next(reader), 1, 100_000)
  const given = next(reader)
  return given === shared ? undefined : given
}

suite('memory that is read into', () => {
  test('is shared until much comes, and is nobody else’s while it is written', () => {
    const buffers = readBuffers()
    const [a, b] = [buffers.reader(), buffers.reader()]
    const taken: { readonly chunk: Buffer; readonly done: () => void }[] = []
    for (const one of [a, b]) one.start(socket, (chunk, done) => taken.push({ chunk, done }))
    const first = next(a)
    assert.equal(next(b), first)
    read(a, first, 1, 100_000)
    const own = next(a)
    assert.notEqual(own, first)
    read(b, first, 2, 100_000)
    assert.notEqual(next(b), own)
    read(a, own, 3, 100_000)
    assert.notEqual(next(a), own)
    assert.deepEqual(
      taken.map(({ chunk }) => [chunk.length, new Set(chunk).size, chunk[0]]),
      [
        [100_000, 1, 1],
        [100_000, 1, 2],
        [100_000, 1, 3],
      ],
    )
    taken[2]?.done()
    assert.equal(next(b), own)
  })
  test('goes to so many at one time, and comes back from those that close or get little', () => {
    const buffers = readBuffers()
    const readers = Array.from({ length: 80 }, () => buffers.reader())
    const shared = next(buffers.reader())
    const own = readers.map((reader) => getsOwn(reader, shared))
    assert.equal(own.filter((one) => one !== undefined).length, 64)
    assert.equal(new Set(own).size, 65)
    const [first, second] = readers
    assert.ok(first && second && own[1])
    first.stop()
    read(second, own[1], 1, 10)
    assert.equal(next(second), shared)
    const more = [buffers.reader(), buffers.reader(), buffers.reader()]
    assert.equal(more.filter((one) => getsOwn(one, shared)).length, 2)
  })
  test('keeps what comes before somebody wants it, and reads no more', () => {
    const reader = readBuffers().reader()
    assert.equal(read(reader, next(reader), 7, 3), false)
    next(reader)
    const got: Buffer[] = []
    reader.start(socket, (chunk) => got.push(chunk))
    assert.deepEqual(got, [Buffer.from([7, 7, 7])])
  })
})
