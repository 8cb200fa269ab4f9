import { undiciClient } from '#gateway/upstream/undici-client'
import { upstreamClientKeepsItsPromises } from '../../ports/upstream-client.ts'

upstreamClientKeepsItsPromises('undici', (target) =>
  undiciClient({ ...target, maxConnections: 32, connectTimeoutMs: 2000 }),
)
