import assert from 'node:assert/strict'
import { test } from 'node:test'
import Fastify from 'fastify'
import supertest from 'supertest'
import { admitted, refuse } from '#contract/problem'
import type { Guard } from '#contract/step'
import { asFastifyPlugin } from '#plugins/as-fastify-plugin'

const appWith = async <Needs>(guard: Guard<Needs>, read: () => Needs) => {
  const app = Fastify()
  await app.register(asFastifyPlugin('test', guard, read))
  let handled = 0
  app.get('/token', async () => `handled ${++handled}`)
  await app.ready()
  return { app, handled: () => handled }
}

test('a guard stands before every route, and before what has none', async (t) => {
  let left = 1
  const limit: Guard<{ address: string }> = ({ address }) =>
    address !== '' && left-- > 0
      ? admitted
      : refuse('rate-exceeded', { cause: 'a secret', headers: { 'retry-after': '3' } })
  const { app, handled } = await appWith(limit, () => ({ address: '192.0.2.1' }))
  t.after(() => app.close())
  await supertest(app.server).get('/token').expect(200)
  for (const path of ['/token', '/nowhere']) {
    const answer = await supertest(app.server).get(path).expect(429).expect('retry-after', '3')
    assert.equal(answer.type, 'application/problem+json')
    assert.equal(answer.body.type, 'urn:sallyport:problem:rate-exceeded')
    assert.doesNotMatch(answer.text, /secret/)
  }
  assert.equal(handled(), 1)
})

test('a guard may take its time', async (t) => {
  const { app, handled } = await appWith(
    async () => refuse('quarantined'),
    () => {},
  )
  t.after(() => app.close())
  await supertest(app.server).get('/token').expect(403)
  assert.equal(handled(), 0)
})

test('a guard that breaks lets nobody in', async (t) => {
  const { app, handled } = await appWith(
    () => {
      throw new TypeError('a bug of ours')
    },
    () => {},
  )
  t.after(() => app.close())
  await supertest(app.server).get('/token').expect(500)
  assert.equal(handled(), 0)
})
