import { demoRoutes } from './configs.ts'
import type { DemoMesh } from './mesh.ts'
import { personas, type Persona } from './personas.ts'

/** Everything that a script needs to use the running demo. */
export const describeMesh = async ({ files, ports, issuer, pids }: DemoMesh) => {
  const names = Object.keys(personas) as Persona[]
  const tokens = await Promise.all(
    names.map(async (name) => [name, await issuer.tokenFor(name)] as const),
  )
  return {
    ingress: `https://localhost:${ports.ingress}`,
    exchange: `https://localhost:${ports.exchange}`,
    egress: `https://localhost:${ports.egress}`,
    admin: `http://127.0.0.1:${ports.admin}`,
    exchangeAdmin: `http://127.0.0.1:${ports.exchangeAdmin}`,
    issuer: issuer.url,
    caFile: files.outsideRoot,
    meshCaFile: files.meshRoot,
    workload: { certificateFile: files.ordersSvid, keyFile: files.ordersKey },
    configs: { gateway: files.gateway, exchange: files.exchange, shared: files.shared },
    audit: { gateway: files.gatewayAudit, exchange: files.exchangeAudit },
    pids: pids(),
    routes: demoRoutes.map(({ id, team, path, authenticate, policy }) => ({
      id,
      team,
      path,
      authenticate,
      requires: policy.requires,
    })),
    tokens: Object.fromEntries(tokens),
    moreTokens: issuer.howToGetOne('alice'),
  }
}
