import { tick, type Finding } from '../faults.ts'
import type { Rule } from './rule.ts'

const offered = '/listeners/ingress/http2/offered'

/** gRPC goes over HTTP/2, from callers and to the service. */
export const grpc: Rule = ({ routes, upstreams, flag }) => {
  const http1 = new Set(
    upstreams.flatMap(({ name, value }) => (value.protocol === 'http1' ? [name] : [])),
  )
  return routes.flatMap(({ pointer, name, value }): Finding[] => {
    if (value.grpc === undefined) return []
    const fault = (message: string, remedy: string): Finding => ({
      pointer: `${pointer}/grpc`,
      at: 'key',
      message: `route ${tick(name)} serves gRPC, which needs HTTP/2, and ${message}`,
      remedy,
    })
    return [
      ...(http1.has(value.upstream)
        ? [
            fault(
              `its upstream ${tick(value.upstream)} is only spoken to in HTTP/1.1`,
              'take `protocol: http1` out of the upstream',
            ),
          ]
        : []),
      ...(flag(offered) === false
        ? [
            fault(
              'callers are only offered HTTP/1.1',
              'take `offered: false` out of `listeners.ingress.http2`',
            ),
          ]
        : []),
    ]
  })
}
