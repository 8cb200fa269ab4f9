import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { data, headers } from '#test/http/h2-client/scripted-peer'
import { askH2, h2Client, h2Edge } from './h2-edge.ts'
import { block, rawCaller } from './raw-caller.ts'

/* What is our own is answered by Fastify, which knows only what Node made of it. */
suite('a path of our own', async () => {
  const edge = await h2Edge(() => {}, {
    limits: { requestTimeoutMs: 300, headersTimeoutMs: 300 },
    isOwn: (req) => req.url?.startsWith('/own') === true,
    own: (app) => {
      app.get('/own', () => ({ ready: true }))
      app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) =>
        done(null, body),
      )
      app.post('/own/body', (request) => ({ bytes: (request.body as Buffer).length }))
    },
  })
  after(() => edge.listener.close(0))

  test('is answered though its caller never ends its body, and the stream is refused then', async () => {
    const caller = await rawCaller(edge.port)
    caller.send(headers(1, block({ ':path': '/own' })))
    assert.equal(await caller.status(1), 200)
    assert.equal(await caller.reset(1), 0)
    caller.send(
      headers(3, block({ ':method': 'POST', ':path': '/own/nowhere' })),
      data(3, 'half', false),
    )
    assert.equal(await caller.status(3), 404)
    assert.equal(await caller.reset(3), 0)
    assert.equal((await askH2(h2Client(edge.port), { ':path': '/own' })).status, 200)
    caller.destroy()
  })

  test('whose body does not come in time is refused, and nothing else happens', async () => {
    const caller = await rawCaller(edge.port)
    caller.send(
      headers(1, block({ ':method': 'POST', ':path': '/own/body' }, ['content-type', 'a/b'])),
      data(1, 'half', false),
    )
    assert.equal(await caller.status(1), 408)
    caller.destroy()
  })
})
