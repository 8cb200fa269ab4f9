import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock, systemRandomBytes } from '#contract/clock'
import { secret } from '#contract/secret'
import type { Log } from '#contract/telemetry'
import type { Bucket, BucketStore } from '#plugins/rate-limit/bucket'
import { redisStore } from '#plugins/rate-limit/redis'
import { bucketKeepsItsPromises } from '#test/ports/bucket'
import { needsRedis, startRedis, type RedisServer } from '#test/ports/redis-server'

const remembering = () => {
  const lines: string[] = []
  const keep = (fields: object, message: string) =>
    void lines.push(`${message} ${JSON.stringify(fields)}`)
  return { lines, log: { info: keep, warn: keep, error: keep } satisfies Log }
}
const openAt = (
  port: number,
  more: { log?: Log; url?: string; ca?: string; timeoutMs?: number } = {},
) =>
  redisStore(
    {
      topology: 'single',
      url: secret(more.url ?? `redis://127.0.0.1:${port}/0`),
      timeoutMs: more.timeoutMs ?? 1000, // patient, for a busy machine
      memorySlots: 1024,
      ...(more.ca !== undefined && { ca: more.ca }),
    },
    { clock: systemClock, randomBytes: systemRandomBytes, log: more.log ?? remembering().log },
  )
const limit = { name: 'caller', points: 5, windowSeconds: 60 }
/** Asks until that store decides, for at most ten seconds. */
const untilDecidedBy = async (bucket: Bucket, store: string): Promise<void> => {
  const endMs = performance.now() + 10_000
  while ((await bucket.take('prober')).store !== store) {
    assert.ok(performance.now() < endMs, `${store} does not decide`)
    await sleep(20)
  }
}

suite('limits in Redis', needsRedis, () => {
  let server: RedisServer
  before(async () => {
    server = await startRedis()
  })
  after(() => server.stop())

  bucketKeepsItsPromises('redis', () => openAt(server.port))

  test('two gateways count together', async () => {
    const [one, two] = await Promise.all([openAt(server.port), openAt(server.port)])
    const shared = { name: 'together', points: 2, windowSeconds: 60 }
    await one.bucket(shared).take('ann')
    await two.bucket(shared).take('ann')
    assert.equal((await one.bucket(shared).take('ann')).admitted, false)
    await Promise.all([one.close(), two.close()])
  })

  test('every key it writes ends by itself', async () => {
    const store = await openAt(server.port)
    await store.bucket({ name: 'ends', points: 1, windowSeconds: 30 }).take('ann')
    const ttl = execFileSync(
      'redis-cli',
      ['-p', `${server.port}`, 'ttl', 'sallyport:limit:ends:ann'],
      { encoding: 'utf8' },
    )
    assert.ok(Number(ttl) > 25 && Number(ttl) <= 30, ttl)
    await store.close()
  })
})

suite('when Redis is away', needsRedis, () => {
  const withStore = async (
    use: (server: RedisServer, store: BucketStore, lines: string[]) => Promise<void>,
  ) => {
    const server = await startRedis()
    const { lines, log } = remembering()
    const store = await openAt(server.port, { log, timeoutMs: 100 })
    try {
      await use(server, store, lines)
    } finally {
      await store.close()
      await server.stop()
    }
  }

  test('a server that was killed is replaced by a bounded local limit, and taken up again by itself', async () => {
    await withStore(async (server, store, lines) => {
      const bucket = store.bucket(limit)
      assert.equal((await bucket.take('ann')).store, 'redis')
      await server.stop()
      const spent = []
      for (let i = 0; i < 20; i++) spent.push(await bucket.take('ann'))
      assert.ok(spent.every(({ store }) => store === 'fallback'))
      assert.equal(spent.filter(({ admitted }) => admitted).length, limit.points)
      assert.equal(lines.length, 1, lines.join('\n'))

      const again = await startRedis([], server.port)
      await untilDecidedBy(bucket, 'redis')
      assert.equal(lines.length, 2, lines.join('\n'))
      assert.match(lines[1] ?? '', /answers again/)
      await again.stop()
    })
  })

  test('a server that hangs costs one timeout, not one a request', async () => {
    await withStore(async (server, store, lines) => {
      const bucket = store.bucket(limit)
      await bucket.take('ann')
      server.signal('SIGSTOP')
      const startMs = performance.now()
      for (let i = 0; i < 50; i++) assert.equal((await bucket.take('bob')).store, 'fallback')
      const elapsedMs = performance.now() - startMs
      assert.ok(elapsedMs < 1000, `50 decisions took ${elapsedMs} ms`)
      assert.equal(lines.length, 1, lines.join('\n'))
      server.signal('SIGCONT')
      await untilDecidedBy(bucket, 'redis')
    })
  })

  test('a server that answers with errors does not decide', async () => {
    await withStore(async (server, store) => {
      const bucket = store.bucket(limit)
      await bucket.take('ann')
      execFileSync('redis-cli', ['-p', `${server.port}`, 'config', 'set', 'maxmemory', '1'])
      assert.equal((await bucket.take('ann')).store, 'fallback')
    })
  })

  test('the gateway starts without it', async () => {
    const { lines, log } = remembering()
    const store = await openAt(1, { log })
    assert.equal((await store.bucket(limit).take('ann')).store, 'fallback')
    assert.equal(lines.length, 1, lines.join('\n'))
    await store.close()
  })
})

suite('the URL of Redis', () => {
  for (const url of [
    'http://:hunter2@127.0.0.1/',
    'redis://:hunter2@/',
    'redis://:hunter2@host/x',
    'hunter2',
  ])
    test(`${JSON.stringify(url)} is refused without repeating it`, async () => {
      await assert.rejects(openAt(0, { url }), (error: Error) => {
        assert.ok(error instanceof TypeError)
        assert.doesNotMatch(error.message, /hunter2/)
        return true
      })
    })

  test('its name and password are used, and a wrong one is never logged', needsRedis, async () => {
    const server = await startRedis(
      '--user default off --user gate on >p@ss:word ~* +@all'.split(' '),
    )
    const good = await openAt(server.port, {
      url: `redis://gate:p%40ss%3Aword@127.0.0.1:${server.port}`,
    })
    assert.equal((await good.bucket(limit).take('ann')).store, 'redis')
    const { lines, log } = remembering()
    const bad = await openAt(server.port, {
      log,
      url: `redis://gate:hunter2@127.0.0.1:${server.port}`,
    })
    assert.equal((await bad.bucket(limit).take('ann')).store, 'fallback')
    assert.ok(lines.length > 0)
    assert.doesNotMatch(lines.join(), /hunter2/)
    await Promise.all([good.close(), bad.close()])
    await server.stop()
  })
})

suite('Redis over TLS', needsRedis, () => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-redis-tls-'))
  const file = (name: string) => join(directory, name)
  let server: RedisServer
  before(async () => {
    const subject = '-subj /CN=redis -addext subjectAltName=IP:127.0.0.1'
    const key = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
    const files = `-keyout ${file('key.pem')} -out ${file('cert.pem')}`
    execFileSync('openssl', `req -x509 -days 1 ${key} ${subject} ${files}`.split(' '), {
      stdio: 'ignore',
    })
    const tls = `--tls-cert-file ${file('cert.pem')} --tls-key-file ${file('key.pem')}`
    const noClientCertificate = `--tls-ca-cert-file ${file('cert.pem')} --tls-auth-clients no`
    server = await startRedis(`${tls} ${noClientCertificate}`.split(' '))
  })
  after(async () => {
    await server.stop()
    rmSync(directory, { recursive: true })
  })
  const storeOf = async (ca?: string) => {
    const store = await openAt(0, {
      url: `rediss://127.0.0.1:${server.port}`,
      ...(ca !== undefined && { ca }),
    })
    const spent = await store.bucket(limit).take('ann')
    await store.close()
    return spent.store
  }

  test('a server of the named authority decides', async () =>
    assert.equal(await storeOf(readFileSync(file('cert.pem'), 'utf8')), 'redis'))

  test('a server of another authority does not', async () =>
    assert.equal(await storeOf(), 'fallback'))
})
