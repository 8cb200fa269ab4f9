import assert from 'node:assert/strict'
import { test } from 'node:test'
import supertest from 'supertest'
import { runningMesh } from './running-mesh.ts'

const mesh = await runningMesh()
const admin = supertest(`http://127.0.0.1:${mesh.ports.admin}`)
await mesh.caller.send({ path: '/catalogue' })
await mesh.caller.send({ path: '/orders/1' })

test('it is alive and ready', async () => {
  await admin.get('/healthz').expect(200, { status: 'ok' })
  await admin.get('/readyz').expect(200, { ready: true, reasons: [] })
})

test('its metrics count what came, by route and team, and time every step', async () => {
  const { text } = await admin
    .get('/metrics')
    .expect(200)
    .expect('content-type', /^text\/plain/)
  assert.match(
    text,
    /^sallyport_requests_total\{direction="ingress",route="catalogue",team="shop",outcome="forwarded",status_class="2xx"\} 1$/m,
  )
  assert.match(
    text,
    /^sallyport_refusals_total\{direction="ingress",step="caller",problem="token-missing"\} 1$/m,
  )
  for (const step of ['head', 'route', 'decision', 'endpoint', 'forward'])
    assert.match(
      text,
      new RegExp(
        `^sallyport_step_duration_seconds_count\\{direction="ingress",step="${step}"\\} [1-9]`,
        'm',
      ),
    )
})

test('its status says what runs, and no secret', async () => {
  const { body, text } = await admin.get('/status').expect(200)
  assert.equal(body.svid.spiffeId, 'spiffe://mesh.demo/sallyport/gateway')
  assert.deepEqual(Object.keys(body.issuers), ['demo'])
  assert.equal(body.issuers.demo.usable, true)
  assert.equal(body.steps[0], 'audit')
  assert.doesNotMatch(text, /PRIVATE KEY|eyJ/)
})

test("the exchange's admin is seen through it, over mTLS", async () => {
  await admin.get('/exchange/healthz').expect(200, { status: 'ok' })
  const { body } = await admin.get('/exchange/status').expect(200)
  assert.ok(body.keys)
})

test('nothing of the exchange can be changed through it', async () => {
  await admin.post('/exchange/keys/rotate').send({ kind: 'jwt', step: 'prepare' }).expect(404)
  await admin.get('/exchange/../keys').expect(400)
})

test('a page of elsewhere that resolves to this machine is not answered (DNS rebinding)', async () => {
  await admin.get('/status').set('host', 'evil.example').expect(421)
})

test('what is not there is a problem, too', async () => {
  await admin
    .get('/elsewhere')
    .expect(404)
    .expect('content-type', /application\/problem\+json/)
})
