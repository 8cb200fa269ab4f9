import { dialMutualTls, isPeerFault } from '#gateway/upstream/dial'
import { h2Client } from '#http/h2-client/h2-client'
import { upstreamClientKeepsItsPromises } from '../../ports/upstream-client.ts'

upstreamClientKeepsItsPromises('our HTTP/2 client', ({ endpoint, expected, svid }) => {
  const { hostname, port } = new URL(endpoint)
  return h2Client({
    connect: async ({ signal }) => {
      const target = {
        host: hostname,
        port: Number(port),
        expected,
        svid,
        alpn: ['h2'],
        timeoutMs: 2000,
      }
      try {
        return { ok: true, socket: await dialMutualTls(target, signal) }
      } catch (cause) {
        return { ok: false, kind: isPeerFault(cause) ? 'identity-wrong' : 'unreachable', cause }
      }
    },
  })
})
