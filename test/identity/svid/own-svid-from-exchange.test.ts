import assert from 'node:assert/strict'
import {
  chmodSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemRandomBytes } from '#contract/clock'
import { parseSpiffeId } from '#contract/spiffe-id'
import { noMeter, type Log } from '#contract/telemetry'
import type { X509SvidAnswer } from '#contract/token-exchange'
import { keptSvid } from '#identity/svid/kept-svid'
import { ownSvidFromExchange } from '#identity/svid/own-svid-from-exchange'
import { startTestExchange } from '#test/exchange/running-exchange'
import { makeRoot, makeSvid } from '#test/fakes/openssl'
import { runSvidExchange, type SvidExchange } from '#test/fakes/svid-exchange'

const idOf = (text: string) => {
  const id = parseSpiffeId(text)
  assert.ok(id.ok)
  return id.value
}
const exchangeId = idOf('spiffe://mesh.example/exchange')
const gateway = idOf('spiffe://mesh.example/gateway')
const joinToken = 'join-token-0123456789'
const hourMs = 3_600_000

const until = async (what: string, isSo: () => boolean) => {
  for (let waited = 0; !isSo(); waited += 5) {
    assert.ok(waited < 30_000, `never happened: ${what}`)
    await sleep(5)
  }
}

/** Asks `exchange` for an SVID, on a clock that can be moved, with pauses that are short. */
const own = (
  exchange: Pick<SvidExchange, 'url'> & { readonly ca: string },
  token = joinToken,
  svidFile?: string,
) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-own-'))
  const [caFile, joinTokenFile] = [join(folder, 'ca.pem'), join(folder, 'token')]
  writeFileSync(caFile, exchange.ca)
  writeFileSync(joinTokenFile, `${token}\n`)
  let aheadMs = 0
  const logged: string[] = []
  const note = (fields: object, message: string) =>
    void logged.push(`${message}: ${(fields as { fault?: string }).fault ?? ''}`)
  const log: Log = { info: note, warn: note, error: note }
  const stop = new AbortController()
  const asking = ownSvidFromExchange(
    {
      exchange: { url: exchange.url, spiffeId: exchangeId, timeoutMs: 2000 },
      caFile,
      joinTokenFile,
      svidFile,
      spiffeId: gateway,
      clock: () => Date.now() + aheadMs,
      sleep: async () => sleep(10),
      randomBytes: systemRandomBytes,
      meter: noMeter,
      log,
    },
    stop.signal,
  )
  after(async () => {
    stop.abort()
    await asking.then((svid) => svid.close()).catch(() => {})
    rmSync(folder, { recursive: true })
  })
  return {
    asking,
    logged,
    caFile,
    joinTokenFile,
    stop,
    passTime: (ms: number) => {
      aheadMs += ms
    },
  }
}

const run = async (...args: Parameters<typeof runSvidExchange>) => {
  const exchange = await runSvidExchange(...args)
  after(exchange.close)
  return Object.assign(exchange, { ca: exchange.root.pem })
}

suite('the own SVID from the exchange', () => {
  test('the first is had by join token, the next by mTLS at half of its life', async () => {
    const exchange = await run(exchangeId, gateway)
    const { asking, passTime, logged } = own(exchange)
    const svid = await asking
    const first = svid.current()
    assert.equal(first.spiffeId, gateway)
    assert.deepEqual(exchange.asked, [
      {
        path: '/svid/x509',
        contentType: 'application/pkcs10',
        authorization: `Bearer ${joinToken}`,
        isMutual: false,
      },
    ])
    const told: string[] = []
    svid.onChange(({ certificateChain }) => told.push(certificateChain))
    passTime(10 * hourMs) // of 24: less than half less 10 %
    await sleep(50)
    assert.equal(exchange.asked.length, 1)
    passTime(3.5 * hourMs)
    await until('it is renewed', () => told.length > 0)
    assert.equal(exchange.asked[1]?.isMutual, true)
    assert.equal(exchange.asked[1]?.authorization, undefined)
    assert.notEqual(svid.current().privateKey.reveal(), first.privateKey.reveal())
    assert.equal(told[0], svid.current().certificateChain)
    assert.ok(!logged.join().includes(joinToken), 'the join token was logged')
  })

  test('the last good one is kept while renewing fails, and after its end a join token helps', async () => {
    const exchange = await run(exchangeId, gateway)
    const { asking, passTime, logged, joinTokenFile } = own(exchange)
    const svid = await asking
    const first = svid.current()
    exchange.setAnswer((response) => response.writeHead(503).end('{"title":"Too busy"}'))
    passTime(14 * hourMs)
    await until('it has failed', () => exchange.asked.length > 3)
    assert.equal(svid.current(), first)
    assert.match(logged.join(), /could not be renewed.*answered 503: Too busy/)
    assert.equal(
      exchange.asked.filter(({ authorization }) => authorization !== undefined).length,
      1,
      'a spent join token was sent again',
    )
    passTime(11 * hourMs)
    await until('it has ended', () => logged.join().includes('a new token is needed'))
    writeFileSync(joinTokenFile, 'another-token-0123456789')
    exchange.setDays(3) // by the machine's clock, which is 25 hours behind ours
    exchange.setAnswer(undefined)
    await until('there is a new one', () => svid.current() !== first)
  })

  test('an exchange that has begun anew, with another root, is joined anew', async () => {
    const exchange = await run(exchangeId, gateway)
    const { asking, passTime, caFile, joinTokenFile, logged } = own(exchange)
    const svid = await asking
    await exchange.close()
    const anew = await run(exchangeId, gateway, { port: Number(new URL(exchange.url).port) })
    passTime(14 * hourMs)
    await until('renewing fails', () => logged.join().includes('could not be renewed'))
    writeFileSync(caFile, anew.ca)
    writeFileSync(joinTokenFile, 'another-token-0123456789')
    await until('it has joined', () => svid.current().bundle === anew.ca)
  })

  test('a start waits for an exchange that is not there yet, or a file that is not', async () => {
    const gone = await runSvidExchange(exchangeId, gateway)
    await gone.close()
    const { asking, logged, stop, caFile } = own({ url: gone.url, ca: gone.root.pem })
    await until('it was tried again', () => logged.length > 2)
    assert.match(logged.join(), /ECONNREFUSED/)
    writeFileSync(caFile, 'garbage')
    await until('it reads the file', () => logged.join().includes('it has no PEM certificate'))
    rmSync(caFile)
    await until('it misses the file', () => logged.join().includes('ENOENT'))
    stop.abort()
    await assert.rejects(asking, /no SVID from https/)
  })

  test('a text that is no join token is not sent to anybody', async () => {
    const exchange = await run(exchangeId, gateway)
    const { logged } = own(exchange, 'two words and a line\nmore')
    await until('it is noticed', () => logged.length > 1)
    assert.match(logged.join(), /joinTokenFile: it is not a join token/)
    assert.equal(exchange.asked.length, 0)
  })
})

suite('an SVID that is kept', () => {
  const keptFile = () => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-kept-'))
    after(() => rmSync(folder, { recursive: true }))
    return join(folder, 'svid.json')
  }
  /** Starts once, and ends. */
  const begin = async (exchange: Awaited<ReturnType<typeof run>>, file: string) => {
    const svid = await own(exchange, joinToken, file).asking
    svid.close()
    return svid.current()
  }
  const joins = ({ asked }: SvidExchange) =>
    asked.filter(({ authorization }) => authorization !== undefined).length

  test('is renewed by a start that follows, which spends no join token', async () => {
    const exchange = await run(exchangeId, gateway)
    const file = keptFile()
    const first = await begin(exchange, file)
    assert.equal(statSync(file).mode & 0o777, 0o600)
    const again = (await own(exchange, joinToken, file).asking).current()
    assert.notEqual(again.certificateChain, first.certificateChain)
    assert.notEqual(again.privateKey.reveal(), first.privateKey.reveal())
    assert.deepEqual([joins(exchange), exchange.asked.at(-1)?.isMutual], [1, true])
    assert.ok(readFileSync(file, 'utf8').includes(JSON.stringify(again.certificateChain)))
  })

  test('is used as it is while the exchange is away, and renewed when it is back', async () => {
    const exchange = await run(exchangeId, gateway)
    const file = keptFile()
    const first = await begin(exchange, file)
    await exchange.close()
    const { asking, logged, passTime } = own(exchange, joinToken, file)
    const svid = await asking
    assert.equal(svid.current().certificateChain, first.certificateChain)
    assert.match(logged.join(), /is used until it can be renewed/)
    const port = Number(new URL(exchange.url).port)
    await run(exchangeId, gateway, { port, root: exchange.root })
    passTime(14 * hourMs)
    await until('it is renewed', () => svid.current().certificateChain !== first.certificateChain)
  })

  test('of an exchange that has begun anew is of no use, and a new join token is spent', async () => {
    const exchange = await run(exchangeId, gateway)
    const file = keptFile()
    await begin(exchange, file)
    await exchange.close()
    const anew = await run(exchangeId, gateway, { port: Number(new URL(exchange.url).port) })
    const svid = await own(anew, 'another-token-0123456789', file).asking
    assert.equal(svid.current().bundle, anew.ca)
    assert.equal(joins(anew), 1)
  })

  for (const [what, spoil] of [
    ['others can read', (file: string) => chmodSync(file, 0o644)],
    ['is cut off', (file: string) => truncateSync(file, 100)],
    ['is of somebody else', undefined],
    ['has the key of another', undefined],
  ] as const)
    test(`that ${what} is not used`, async () => {
      const exchange = await run(exchangeId, gateway)
      const file = keptFile()
      if (what === 'is of somebody else' || what === 'has the key of another') {
        const made = makeSvid(
          exchange.root,
          what === 'is of somebody else' ? 'spiffe://mesh.example/another' : gateway,
        )
        const { keyPem } = what === 'is of somebody else' ? made : makeSvid(exchange.root, gateway)
        const parts = { certificateChain: made.pem, privateKey: keyPem, bundle: exchange.ca }
        writeFileSync(file, JSON.stringify(parts), { mode: 0o600 })
      } else await begin(exchange, file)
      spoil?.(file)
      const before = joins(exchange)
      const late = own(exchange, `${joinToken}-new`, file)
      assert.equal((await late.asking).current().spiffeId, gateway)
      assert.equal(joins(exchange) - before, 1)
    })
})

test('an SVID that is kept is none after its end', async () => {
  const exchange = await run(exchangeId, gateway)
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-kept-'))
  after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'svid.json')
  const { asking } = own(exchange, joinToken, file)
  await asking
  assert.ok((await keptSvid(file, gateway, Date.now())).ok)
  const kept = await keptSvid(file, gateway, Date.now() + 240 * hourMs)
  assert.match(kept.ok ? '' : kept.fault, /expired/)
})

suite('the join token is not sent to', () => {
  const root = makeRoot('mesh.example')
  for (const [what, shows, fault] of [
    ['somebody else of the mesh', makeSvid(root, 'spiffe://mesh.example/evil'), /must be/],
    ['an exchange of another root', makeSvid(makeRoot('mesh.example'), exchangeId), /UNABLE_TO/],
  ] as const)
    test(what, async () => {
      const exchange = await run(exchangeId, gateway, { root, shows })
      const { logged } = own(exchange)
      // What is first noticed on a busy machine may be that it takes long.
      await until('it is noticed', () => logged.some((line) => fault.test(line)))
      assert.equal(exchange.asked.length, 0)
    })
})

suite('an answer is refused', () => {
  const otherKey = (root: SvidExchange['root']) => makeSvid(root, gateway).pem
  const answers: readonly (readonly [
    string,
    (good: X509SvidAnswer, root: SvidExchange['root']) => unknown,
    RegExp,
  ])[] = [
    [
      'for another key',
      (good, root) => ({ ...good, x509_svid: otherKey(root) }),
      /key is not that/,
    ],
    [
      'of another root',
      (good) => ({ ...good, bundle: makeRoot('mesh.example').pem }),
      /not end at a root/,
    ],
    ['without a bundle', (good) => ({ ...good, bundle: undefined }), /no x509_svid or no bundle/],
    ['that is a list', (good) => [good], /not a JSON object/],
    ['that is cut off', (good) => JSON.stringify(good).slice(0, 100), /not JSON/],
  ]
  for (const [what, spoil, fault] of answers)
    test(what, async () => {
      const exchange = await run(exchangeId, gateway)
      exchange.setAnswer((response, good) => {
        const spoilt = spoil(good(), exchange.root)
        response.end(typeof spoilt === 'string' ? spoilt : JSON.stringify(spoilt))
      })
      const { logged } = own(exchange)
      // What is first noticed on a busy machine may be that it takes long.
      await until('it is noticed', () => logged.some((line) => fault.test(line)))
    })

  test('that makes somebody else of us', async () => {
    const exchange = await run(exchangeId, 'spiffe://mesh.example/another')
    const { logged } = own(exchange)
    await until('it is noticed', () => logged.length > 1)
    assert.match(logged.join(), /says that we are spiffe:\/\/mesh\.example\/another/)
  })
})

test('the real exchange gives the first SVID and the next', async () => {
  const exchange = await startTestExchange()
  after(exchange.stop)
  const ask = { url: exchange.urls.exchange, ca: exchange.roots() }
  const { asking, passTime } = own(ask, await exchange.joinToken())
  const svid = await asking
  assert.equal(svid.current().spiffeId, gateway)
  const first = svid.current()
  passTime(0.56 * hourMs)
  await until('it is renewed', () => svid.current() !== first)
})
