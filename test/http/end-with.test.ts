import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { test } from 'node:test'
import { takingMs } from '#http/discard'
import { replyProblemOnSocket } from '#http/problem-reply'

test('a caller that takes nothing of its refusal is cut off after a while', async (t) => {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const caller = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' })
  caller.on('error', () => {}).pause()
  const [socket] = (await once(server, 'connection')) as [Socket]
  server.close()
  const part = Buffer.alloc(1_000_000)
  while (socket.writableLength < 2 * part.length) {
    socket.write(part)
    await new Promise(setImmediate) // what the kernel takes is gone by then
  }
  t.mock.timers.enable({ apis: ['setTimeout'] })
  replyProblemOnSocket(socket, { tag: 'destination-denied' })
  t.mock.timers.tick(takingMs - 1)
  assert.equal(socket.destroyed, false)
  t.mock.timers.tick(1)
  assert.equal(socket.destroyed, true)
  caller.destroy()
})
