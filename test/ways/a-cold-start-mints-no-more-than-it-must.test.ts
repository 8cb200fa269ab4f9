import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createSecureContext, type TLSSocket } from 'node:tls'
import { after, test } from 'node:test'
import { eventually, ids, meshRig, recordsIn, tokenRoute } from './rig.ts'

const many = 500
const rig = await meshRig()
after(rig.close)
const service = await rig.service((_req, res) => void res.end('yes'))
const exchange = await rig.exchange()
/** Nothing is known to a gateway that has just started. */
const freshGateway = (name: string) =>
  rig.gateway(name, {
    exchange: {
      url: `https://localhost:${exchange.exchange.port}`,
      spiffeId: ids.exchange,
      caFile: rig.svidFiles.bundleFile,
      timeoutMs: 20_000,
    },
    upstreams: {
      service: { endpoints: [service.url], spiffeId: ids.service, connectTimeoutMs: 20_000 },
    },
    routes: [tokenRoute('mine', '/mine')],
    listeners: {
      ingress: {
        limits: {
          keepAliveTimeoutMs: 300_000,
          headersTimeoutMs: 300_000,
          requestTimeoutMs: 300_000,
        },
      },
    },
  })
const mints = () => recordsIn(rig.at('exchange-audit.jsonl')).length

/**
 * All of them are there before the first asks: what is measured is what they ask at once. They resume the session of the
 * first, for the work of whole handshakes is not what this is about.
 */
const connected = async ({ port, ca }: { port: number; ca: string }, count: number) => {
  const secureContext = createSecureContext({ ca })
  const place = { host: '127.0.0.1', port, servername: 'localhost', secureContext }
  const first = connect(place)
  const [session] = (await once(first, 'session')) as [Buffer]
  const sockets = [first]
  while (sockets.length < count) {
    const socket = connect({ ...place, session })
    await once(socket, 'secureConnect')
    sockets.push(socket)
  }
  return sockets
}

const askOn = async (socket: TLSSocket, token: string): Promise<string> => {
  socket.write(
    `GET /mine/1 HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\nconnection: close\r\n\r\n`,
  )
  let answer = ''
  for await (const chunk of socket) answer += (chunk as Buffer).toString('latin1')
  return answer.slice(0, 'HTTP/1.1 200'.length)
}

const coldStart = async (name: string, tokens: readonly string[]) => {
  const gateway = await freshGateway(name)
  const before = mints()
  const connections = await connected(gateway, tokens.length)
  const statuses = new Set(
    await Promise.all(connections.map((socket, i) => askOn(socket, tokens[i] ?? ''))),
  )
  const records = () => gateway.records().length
  await eventually(() => (records() >= tokens.length ? true : undefined))
  await gateway.close()
  return { statuses: [...statuses], records: records(), mints: () => mints() - before }
}

test(`a cold start of ${many} equal tokens mints one, and all are served`, async () => {
  const token = rig.token()
  const seen = await coldStart(
    'equal',
    Array.from({ length: many }, () => token),
  )
  assert.deepEqual(seen.statuses, ['HTTP/1.1 200'])
  assert.equal(seen.records, many)
  await eventually(() => (seen.mints() > 0 ? true : undefined))
  assert.equal(seen.mints(), 1)
})

test(`a cold start of ${many} distinct tokens mints one for each and no more, and all are served`, async () => {
  const tokens = Array.from({ length: many }, (_, i) => rig.token({ sub: `p${i}` }))
  const seen = await coldStart('distinct', tokens)
  assert.deepEqual(seen.statuses, ['HTTP/1.1 200'])
  await eventually(() => (seen.mints() >= many ? true : undefined))
  assert.equal(seen.mints(), many)
})
