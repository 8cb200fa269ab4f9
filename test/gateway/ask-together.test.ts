// Questions to the exchange that come up together travel together, each asker gets its own answer, and nobody waits for ever.
import assert from 'node:assert/strict'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { suite, test } from 'node:test'
import {
  maxTokenBatch,
  maxTokenBatchBytes,
  type TokenBatchQuestion,
} from '#contract/token-exchange'
import { askTogether } from '#gateway/ask-together'
import type { Told } from '#gateway/token-batch'
import type { UpstreamClient, UpstreamHandler } from '#http/upstream-client'

type Request = UpstreamHandler & { readonly questions: readonly TokenBatchQuestion[] }

/** An exchange whose requests stand open until a test answers them. */
const openExchange = (timeoutMs = 1000) => {
  const requests: Request[] = []
  const aborted: Error[] = []
  const client: UpstreamClient = {
    dispatch: ({ body }, handler) => {
      handler.onStart({
        abort: (cause) => {
          aborted.push(cause)
          handler.onError({ kind: 'aborted', cause, unsent: false })
        },
        pause: () => {},
        resume: () => {},
      })
      requests.push({ ...handler, questions: JSON.parse(textOf(body)) })
    },
    close: async () => {},
    destroy: () => {},
    stats: () => ({ open: 0, connecting: 0, inFlight: 0, queued: 0 }),
  }
  const ask = askTogether({ client: () => client, authority: 'exchange.test', timeoutMs })
  const request = (place: number): Request => {
    const found = requests[place]
    assert.ok(found, `there is no request ${place}`)
    return found
  }
  return { requests, request, aborted, ask: (form: string) => ask({ form }) }
}

const textOf = (body: unknown): string => (Buffer.isBuffer(body) ? body.toString() : '')
const line = (question: number, told = `answer ${question}`, status = 200) =>
  `${JSON.stringify({ question, status, body: { told } })}\n`
const say = (request: Request, ...parts: readonly string[]) => {
  request.onHead(200, [])
  for (const part of parts) request.onData(Buffer.from(part), false)
}
const toldBy = (told: Told): unknown => ('fault' in told ? told.fault.kind : told.body['told'])
const formsOf = ({ questions }: Request) => questions.map(({ form }) => form)

suite('Asking together', () => {
  test('what is asked in one turn is one request, and each gets its own answer, in whichever order', async () => {
    const { requests, request, ask } = openExchange()
    const asked = [ask('a=1'), Promise.resolve().then(() => ask('a=2')), ask('a=3')]
    await turn()
    assert.equal(requests.length, 1)
    assert.deepEqual(formsOf(request(0)).toSorted(), ['a=1', 'a=2', 'a=3'])
    say(request(0), line(2), line(0) + line(1).slice(0, 9), line(1).slice(9))
    request(0).onEnd([])
    const told = (await Promise.all(asked)).map(toldBy)
    assert.deepEqual(new Set(told), new Set(['answer 0', 'answer 1', 'answer 2']))
    assert.equal(told[0], `answer ${formsOf(request(0)).indexOf('a=1')}`)
  })

  test('each is told as soon as its answer is here, whoever else still waits', async () => {
    const { request, ask } = openExchange()
    const [slow, fast] = [ask('a=slow'), ask('a=fast')]
    await turn()
    say(request(0), line(1))
    assert.equal(toldBy(await fast), 'answer 1')
    request(0).onError({ kind: 'broken', cause: new Error('gone'), unsent: false })
    assert.equal(toldBy(await slow), 'broken')
  })

  test('while two requests have no answer yet, what comes up is gathered, and leaves with the first answer', async () => {
    const { requests, request, ask } = openExchange()
    for (const form of ['a=1', 'a=2', 'a=3']) {
      void ask(form)
      await turn()
    }
    void ask('a=4')
    assert.equal(requests.length, 2)
    say(request(0), line(0))
    assert.equal(requests.length, 3)
    assert.deepEqual(formsOf(request(2)), ['a=3', 'a=4'])
  })

  test('nobody waits long for those: all that they ask may be slow', async () => {
    const { requests, ask } = openExchange()
    for (const form of ['a=1', 'a=2', 'a=3']) {
      void ask(form)
      await turn()
    }
    assert.equal(requests.length, 2)
    while (requests.length < 3) await sleep(5)
  })

  test('so many, or so many bytes, and no more go into one request', async () => {
    const { requests, request, ask } = openExchange()
    for (let i = 0; i <= maxTokenBatch; i++) void ask(`a=${i}`)
    await turn()
    assert.deepEqual(
      requests.map(({ questions }) => questions.length),
      [maxTokenBatch, 1],
    )
    const other = openExchange()
    for (let i = 0; i < 3; i++) void other.ask('x'.repeat(120_000))
    await turn()
    assert.deepEqual(
      other.requests.map(({ questions }) => questions.length),
      [2, 1],
    )
    assert.equal(formsOf(request(1))[0], `a=${maxTokenBatch}`)
    const brim = openExchange()
    const around = '{"form":""}'.length
    for (const chars of [100_000, 100_000, maxTokenBatchBytes - 200_000 - 4 + 1])
      void brim.ask('x'.repeat(chars - around))
    await turn()
    assert.deepEqual(
      brim.requests.map(({ questions }) => questions.length),
      [2, 1],
    )
  })

  test('a refusal of the whole is the answer to each', async () => {
    const { request, ask } = openExchange()
    const asked = [ask('a=1'), ask('a=2')]
    await turn()
    request(0).onHead(503, ['retry-after', '7'])
    request(0).onData(Buffer.from('{"error":"temporarily_unavailable"}'), false)
    request(0).onEnd([])
    const expected = {
      status: 503,
      body: { error: 'temporarily_unavailable' },
      isOfAll: true,
      retry_after: 7,
    }
    assert.deepEqual(await Promise.all(asked), [expected, expected])
  })

  for (const [what, said] of [
    ['nothing', ''],
    ['no JSON', '}{\n'],
    ['an answer without its question', '{"status":200,"body":{}}\n'],
    ['an answer without a status', '{"question":0,"body":{}}\n'],
    ['an answer without a body', '{"question":0,"status":200}\n'],
    ['half an answer', line(0).slice(0, -1)],
    ['an answer to nobody', line(7)],
    ['an answer to nobody before the first', line(-1)],
    ['an answer to nobody far behind the last', line(40_000_000)],
    ['a line without an end', 'x'.repeat(70_000)],
  ] as const)
    test(`${what} is no answer to anybody`, async () => {
      const { request, ask } = openExchange()
      const asked = ask('a=1')
      await turn()
      say(request(0), ...(said === '' ? [] : [said]))
      request(0).onEnd([])
      assert.equal(toldBy(await asked), 'broken')
    })

  test('a second answer to the same question ends it all', async () => {
    const { request, ask } = openExchange()
    const [one, other] = [ask('a=1'), ask('a=2')]
    await turn()
    say(request(0), line(0, 'first') + line(0, 'second') + line(1))
    request(0).onEnd([])
    assert.deepEqual([toldBy(await one), toldBy(await other)], ['first', 'broken'])
  })

  test('an exchange that is silent is given up in time, and the next question is asked at once', async () => {
    const { requests, aborted, ask } = openExchange(30)
    const told = await Promise.all([ask('a=1'), ask('a=2')])
    assert.deepEqual(told.map(toldBy), ['timeout', 'timeout'])
    assert.match(String(aborted[0]), /no answer within 30 ms/)
    void ask('a=3')
    await turn()
    assert.equal(requests.length, 2)
  })

  test('what cannot stand in JSON as it is arrives all the same', async () => {
    const { request, ask } = openExchange()
    void ask('a="\\\u0000ключ\n')
    await turn()
    assert.deepEqual(formsOf(request(0)), ['a="\\\u0000ключ\n'])
  })
})
