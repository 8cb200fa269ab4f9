import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { status } from '@grpc/grpc-js'
import { systemClock, systemRandomBytes, systemSleep } from '#contract/clock'
import type { SpiffeId } from '#contract/spiffe-id'
import { noMeter, type Log, type Meter } from '#contract/telemetry'
import { ownSvidFromAgent } from '#identity/svid/own-svid-from-agent'
import { makeRoot, makeSvid } from '#test/fakes/openssl'
import { fakeAgent, field, svidsMessage, type FakeAgent } from '#test/fakes/workload-api'

const us = 'spiffe://mesh.example/gateway' as SpiffeId
const root = makeRoot('mesh.example')
const svidOf = (spiffeId: string, by = root) => ({
  spiffeId,
  leaf: makeSvid(by, spiffeId),
  root: by,
})
const good = svidOf(us)

const until = async (what: string, isSo: () => boolean) => {
  for (let waited = 0; !isSo(); waited += 5) {
    assert.ok(waited < 20_000, `never happened: ${what}`)
    await sleep(5)
  }
}

const ask = (agent: FakeAgent, signal?: AbortSignal) => {
  const logged: string[] = []
  const gauges = new Map<string, number>()
  const note = (fields: object, message?: string) =>
    void logged.push(`${message ?? ''} ${JSON.stringify(fields)}`)
  const log: Log = { info: note, warn: note, error: note }
  const meter = {
    ...noMeter,
    gauge: (name: string) => (value: number) => void gauges.set(name, value),
  } as unknown as Meter
  const waits: number[] = []
  const asking = ownSvidFromAgent(
    {
      socket: agent.socket,
      spiffeId: us,
      clock: systemClock,
      sleep: (ms, stop) => {
        waits.push(ms)
        return systemSleep(5, stop)
      },
      randomBytes: systemRandomBytes,
      meter,
      log,
    },
    signal,
  )
  return { asking, logged, waits, connected: () => gauges.get('sallyport_workload_api_connected') }
}

const started = async (message = svidsMessage([good])) => {
  const agent = await fakeAgent()
  agent.say('FetchX509SVID', message)
  const asked = ask(agent)
  const own = await asked.asking
  after(() => {
    own.close()
    agent.remove()
  })
  return { agent, own, ...asked }
}

suite('the own SVID from an agent', () => {
  test('is asked for with the header that keeps other processes from being tricked into asking', async () => {
    const { agent, own, connected } = await started()
    assert.equal(own.current().spiffeId, us)
    assert.equal(own.current().bundle.trim(), root.pem.trim())
    assert.deepEqual(agent.asked[0], { method: 'FetchX509SVID', header: ['true'] })
    assert.equal(connected(), 1)
  })

  test('is the one of our SPIFFE ID, wherever it stands among others', async () => {
    const other = svidOf('spiffe://mesh.example/other')
    const { own } = await started(svidsMessage([other, good]))
    assert.equal(own.current().spiffeId, us)
  })

  test('changes as soon as the agent has another', async () => {
    const { agent, own } = await started()
    const told: string[] = []
    own.onChange(({ certificateChain }) => told.push(certificateChain))
    agent.say('FetchX509SVID', svidsMessage([good])) // the same once more
    const next = svidOf(us)
    agent.say('FetchX509SVID', svidsMessage([next]))
    await until('it has changed', () => told.length > 0)
    assert.deepEqual(told, [own.current().certificateChain])
    assert.equal(own.current().certificateChain.trim(), next.leaf.pem.trim())
  })

  const elsewhere = makeRoot('mesh.example')
  const bad: readonly (readonly [what: string, message: Buffer, said: RegExp])[] = [
    ['no SVID', Buffer.alloc(0), /has no SVID/],
    [
      'only that of somebody else',
      svidsMessage([svidOf('spiffe://mesh.example/evil')]),
      /not spiffe/,
    ],
    [
      'a certificate of somebody else under our name',
      svidsMessage([{ ...svidOf('spiffe://mesh.example/evil'), spiffeId: us }]),
      /is that of spiffe:\/\/mesh.example\/evil/,
    ],
    [
      'the key of another',
      svidsMessage([{ ...good, keyPem: svidOf(us).leaf.keyPem }]),
      /key is not/,
    ],
    [
      'roots that it does not lead to',
      svidsMessage([{ ...good, root: elsewhere }]),
      /does not end at/,
    ],
    ['bytes that are no message', Buffer.from([0x0a, 0xff]), /ends in the midst/],
    ['a certificate that is none', field(1, field(2, 'x')), /chain/],
    ['a group', Buffer.from([0x0b]), /unknown type/],
    ['a number without end', Buffer.alloc(12, 0xff), /no end/],
  ]
  for (const [what, message, said] of bad)
    test(`${what} never replaces a good one`, async () => {
      const { agent, own, logged, connected } = await started()
      const before = own.current()
      agent.say('FetchX509SVID', message)
      await until('it was refused', () => logged.some((line) => said.test(line)))
      assert.equal(own.current(), before)
      assert.equal(connected(), 0)
      const next = svidOf(us)
      agent.say('FetchX509SVID', svidsMessage([next]))
      await until('a good one is taken after it', () => own.current() !== before)
      assert.ok(!logged.some((line) => line.includes('PRIVATE KEY')), 'a key was logged')
    })

  test('is kept while the agent is away, and followed again after it came back', async () => {
    const { agent, own, logged, connected } = await started()
    const before = own.current()
    agent.stop()
    await until('it is noticed', () => connected() === 0)
    await until('it is tried again', () => logged.filter((line) => /used on/.test(line)).length > 3)
    assert.equal(own.current(), before)
    const next = svidOf(us)
    agent.say('FetchX509SVID', svidsMessage([next]))
    await agent.start()
    await until('the new one is here', () => own.current() !== before)
    assert.equal(connected(), 1)
  })

  test('is waited for longer and longer, up to 30 s, and the log says what for', async () => {
    const agent = await fakeAgent()
    after(agent.remove)
    agent.fail(status.PERMISSION_DENIED, 'no identity issued')
    const { asking, logged, waits } = ask(agent)
    await until('it was tried often', () => waits.length > 9)
    assert.ok(
      logged.every((line) => /no first SVID.*no identity issued.*Register an entry/.test(line)),
    )
    const [first = 0] = waits
    assert.ok(first >= 500 && first <= 1500, `first after ${first} ms`)
    assert.ok(waits.slice(7).every((ms) => ms >= 15_000 && ms <= 45_000))
    agent.say('FetchX509SVID', svidsMessage([good]))
    agent.fail(undefined)
    const own = await asking
    assert.equal(own.current().spiffeId, us)
    own.close()
  })

  test('is not waited for once the process is told to end', async () => {
    const agent = await fakeAgent()
    after(agent.remove)
    agent.fail(status.PERMISSION_DENIED)
    const ending = new AbortController()
    const { asking, logged } = ask(agent, ending.signal)
    await until('it has failed', () => logged.length > 0)
    ending.abort()
    await assert.rejects(asking, /no SVID from the agent: .*no identity for this process/)
    const before = agent.asked.length
    await sleep(50)
    assert.ok(agent.asked.length <= before + 1, 'it is asked on')
  })

  test('without a socket is waited for, and the log names it', async () => {
    const agent = await fakeAgent()
    agent.remove()
    const ending = new AbortController()
    const { asking, logged } = ask(agent, ending.signal)
    await until('it has failed', () => logged.length > 2)
    assert.ok(logged.every((line) => line.includes(agent.socket) && /cannot be reached/.test(line)))
    ending.abort()
    await assert.rejects(asking)
  })

  test('is no longer followed once it is closed', async () => {
    const { agent, own } = await started()
    await until('it is followed', () => agent.open() === 1)
    own.close()
    await until('it is followed no more', () => agent.open() === 0)
  })
})
