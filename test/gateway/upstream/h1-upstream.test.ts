import { h1Upstream } from '#gateway/upstream/h1-upstream'
import { upstreamClientKeepsItsPromises } from '../../ports/upstream-client.ts'

upstreamClientKeepsItsPromises('HTTP/1.1', (target) =>
  h1Upstream({ ...target, maxConnections: 32, connectTimeoutMs: 2000 }),
)
