import assert from 'node:assert/strict'
import { test } from 'node:test'
import { metrics } from '#contract/telemetry'
import { issuedKinds, type Issued } from '#exchange/issued/issued'
import { issuedRegister } from '#exchange/issued/register'
import { issuedTimeline } from '#exchange/issued/timeline'
import { prometheusSink } from '#plugins/prometheus/sink'
import { alice, fakeClock, gateway } from '../fixtures.ts'

const secondMs = 1000
const minuteMs = 60 * secondMs
const hourMs = 60 * minuteMs
const spans = metrics.sallyport_issued_live.labels.ends_within

const shownIn = async (scrape: () => Promise<{ readonly body: string }>) => {
  const { body } = await scrape()
  return body.split('\n').filter((line) => line.startsWith('sallyport_issued_live{'))
}

test('what is out is shown by kind and by when it ends, and who holds it is not', async () => {
  const { clock, pass } = fakeClock()
  const { meter, scrape } = prometheusSink()
  const register = issuedRegister(1000, clock)
  const show = issuedTimeline(register, meter, clock)
  const issue = (id: string, kind: Issued['kind'], livesMs: number) =>
    register.add({
      id,
      kind,
      subject: alice,
      client: gateway,
      audience: 'https://secret-project.example',
      kid: 'kid-1',
      issuedAtMs: clock(),
      expiresAtMs: clock() + livesMs,
      parent: 'parent-of-it',
      fingerprint: `print-of-${id}`,
    })
  for (let i = 0; i < 500; i++) await issue(`t${i}`, 'jwt-svid', 5 * minuteMs)
  await issue('soon', 'access-token', 30 * secondMs)
  await issue('minute', 'access-token', minuteMs)
  await issue('revoked', 'access-token', 30 * secondMs)
  await issue('svid', 'x509-svid', 24 * hourMs)
  await issue('long', 'x509-svid', 24 * hourMs + 1)
  await register.revoke('revoked', clock() + 30 * secondMs)

  await show()
  const lines = await shownIn(scrape)
  assert.equal(
    lines.length,
    issuedKinds.length * spans.length,
    'one series for each, however many hold something',
  )
  const value = (kind: string, span: string) =>
    lines.find((line) => line.includes(`"${kind}"`) && line.includes(`"${span}"`))?.split(' ')[1]
  assert.equal(value('jwt-svid', '5m'), '500')
  assert.equal(value('access-token', '1m'), '2', 'of three one is revoked')
  assert.equal(value('x509-svid', '24h'), '1')
  assert.equal(value('x509-svid', 'later'), '1')
  assert.equal(value('txn-token', '1m'), '0')
  for (const named of [
    alice,
    gateway,
    'secret-project',
    'kid-1',
    'parent-of-it',
    'print-of',
    't499',
  ])
    assert.ok(!lines.join('\n').includes(named), named)

  pass(4 * minuteMs + 1)
  await show()
  const later = await shownIn(scrape)
  assert.equal(later.length, lines.length)
  assert.ok(
    later.some(
      (line) => line.includes('"jwt-svid"') && line.includes('"1m"') && line.endsWith(' 500'),
    ),
  )
  assert.ok(
    later.every((line) => !line.includes('"access-token"') || line.endsWith(' 0')),
    'what ended is gone',
  )
})
