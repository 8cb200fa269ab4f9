import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { tokenTypes } from '#contract/token-exchange'
import {
  basic,
  cronSecret,
  mainframeSecret,
  startExchangeWithClients,
  type ExchangeWithClients,
} from '../clients/exchange-with-clients.ts'
import { alice } from '../fixtures.ts'

/** So long that no window ends within the test. */
const windowSeconds = 3600
/** What the grant to `self` allows. */
const jwtSvid = { requested_token_type: tokenTypes.jwt }

const refusedFor = (answer: { status: number; json: () => Record<string, unknown> }) => ({
  status: answer.status,
  error: answer.json()['error'],
  problem: answer.json()['problem'],
})
const tooMany = { status: 429, error: 'temporarily_unavailable', problem: 'rate-exceeded' }

suite('a limit by client', () => {
  let exchange: ExchangeWithClients
  before(async () => {
    exchange = await startExchangeWithClients({ limits: { client: { points: 2, windowSeconds } } })
  })
  after(() => exchange.stop())
  const asMainframe = async (more: Record<string, string> = {}) =>
    exchange.post('/token', await exchange.form(more), {
      headers: basic('mainframe', mainframeSecret),
    })

  test('counts whatever the client asks, also what is refused, and says when to come back', async () => {
    assert.equal((await asMainframe()).status, 200)
    assert.equal((await asMainframe({ scope: 'admin' })).json()['error'], 'invalid_scope')
    const third = await asMainframe()
    assert.deepEqual(refusedFor(third), tooMany)
    const retryAfter = Number(third.headers['retry-after'])
    assert.ok(retryAfter >= 1 && retryAfter <= windowSeconds, String(retryAfter))
    const record = exchange.records.at(-1)
    assert.equal(record?.problem, 'rate-exceeded')
    assert.equal(record.client, 'mainframe')
    assert.equal(record.step, 'client')
  })

  test('is each client’s own, and who brings only a platform’s token has none', async () => {
    const assertion = await exchange.assertion()
    const other = await exchange.post(
      '/token',
      await exchange.form({
        client_assertion: assertion,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      }),
    )
    assert.equal(other.status, 200, other.body.toString())
    for (let i = 0; i < 4; i++)
      assert.equal((await exchange.post('/token', await exchange.form(jwtSvid))).status, 200)
  })

  test('counts nobody who did not prove who he is: a stranger cannot use it up', async () => {
    for (let i = 0; i < 4; i++) {
      const wrong = await exchange.post('/token', await exchange.form(), {
        headers: basic('cron', 'wrong'),
      })
      assert.equal(wrong.json()['error'], 'invalid_client')
    }
    // 'cron' must bring a DPoP proof, which is asked for after the limit.
    const right = await exchange.post('/token', await exchange.form(), {
      headers: basic('cron', cronSecret),
    })
    assert.equal(right.json()['error'], 'invalid_dpop_proof')
  })
})

suite('a limit by subject', () => {
  let exchange: ExchangeWithClients
  before(async () => {
    exchange = await startExchangeWithClients({ limits: { subject: { points: 3, windowSeconds } } })
  })
  after(() => exchange.stop())
  const ask = async (by: 'self' | 'mainframe', sub: string) =>
    exchange.post(
      '/token',
      await exchange.form({ ...jwtSvid, subject_token: await exchange.subjectToken({ sub }) }),
      by === 'self' ? {} : { headers: basic('mainframe', mainframeSecret) },
    )

  test('counts all that is asked for one SPIFFE ID, whoever asks by whichever token', async () => {
    assert.equal((await ask('self', 'alice')).status, 200)
    assert.equal((await ask('mainframe', 'alice')).status, 200)
    assert.equal((await ask('self', 'alice')).status, 200)
    for (const by of ['self', 'mainframe'] as const) {
      assert.deepEqual(refusedFor(await ask(by, 'alice')), tooMany)
      const record = exchange.records.at(-1)
      assert.equal(record?.step, 'subject limit')
      assert.equal(record.spiffeId, alice)
    }
  })

  test('leaves others alone, and counts no question that no grant allows', async () => {
    for (let i = 0; i < 4; i++) {
      const form = await exchange.form({
        ...jwtSvid,
        subject_token: await exchange.subjectToken({ sub: 'bob' }),
        audience: 'https://elsewhere.example',
      })
      assert.equal((await exchange.post('/token', form)).json()['error'], 'invalid_target')
    }
    assert.equal((await ask('self', 'bob')).status, 200)
  })

  test('the decisions are counted by limit, without names', async () => {
    const text = await (await fetch(`${exchange.urls.admin}/metrics`)).text()
    const lines = text
      .split('\n')
      .filter((line) => line.startsWith('sallyport_limit_decisions_total{'))
    assert.ok(
      lines.some(
        (line) =>
          line.includes('limit="subject"') &&
          line.includes('decision="refused"') &&
          line.endsWith(' 2'),
      ),
      lines.join('\n'),
    )
    assert.ok(!lines.some((line) => line.includes('alice') || line.includes('mainframe')))
  })
})

test('a limit that is only reported refuses nobody', async () => {
  const exchange = await startExchangeWithClients({
    limits: { client: { points: 1, windowSeconds, mode: 'report' } },
  })
  for (let i = 0; i < 3; i++) {
    const answer = await exchange.post('/token', await exchange.form(), {
      headers: basic('mainframe', mainframeSecret),
    })
    assert.equal(answer.status, 200)
  }
  const text = await (await fetch(`${exchange.urls.admin}/metrics`)).text()
  assert.match(text, /sallyport_limit_decisions_total\{[^}]*decision="would-refuse"[^}]*\} 2/)
  await exchange.stop()
})

test('a token from a clock that is ahead is refused with how far, and operators see whose clock it is', async () => {
  const exchange = await startExchangeWithClients()
  const iat = Math.floor(Date.now() / 1000) + 95
  const early = await exchange.subjectToken({ iat, exp: iat + 300 })
  const answer = await exchange.post('/token', await exchange.form({ subject_token: early }))
  assert.equal(answer.json()['problem'], 'token-not-yet-valid')
  assert.match(
    String(answer.json()['error_description']),
    /^subject_token: The token is valid in 9\d s by the clock here, and 30 s are let pass$/,
  )
  const status = (await (await fetch(`${exchange.urls.admin}/status`)).json()) as {
    issuers: { corp: { clockAheadSeconds: number } }
  }
  const ahead = status.issuers.corp.clockAheadSeconds
  assert.ok(ahead > 60 && ahead <= 95, String(ahead))
  const text = await (await fetch(`${exchange.urls.admin}/metrics`)).text()
  assert.match(text, /^sallyport_clock_ahead_seconds\{issuer="corp"\} [6-9]\d/m)
  await exchange.stop()
})
