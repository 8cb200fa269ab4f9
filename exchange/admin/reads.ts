import type { FastifyInstance } from '#http/listen'
import { operatorRoutes, type OperatorParts } from '#http/operator-routes'
import type { Authority } from '../ca/authority.ts'
import type { JoinTokens } from '../join-tokens.ts'
import type { IssuedRegister } from '../issued/register.ts'
import { issuedReads } from './issued.ts'
import { keyStatus } from './status.ts'

/** Its `status` is what else `GET /status` shows besides keys and join tokens. */
export type AdminReadParts = OperatorParts & {
  readonly authority: Authority
  readonly joinTokens: JoinTokens
  readonly register: IssuedRegister
}

/** What may be read of the exchange's state. */
export const adminReads = (app: FastifyInstance, parts: AdminReadParts): void => {
  issuedReads(app, parts.register)
  operatorRoutes(app, {
    ...parts,
    status: async () => ({
      keys: keyStatus(parts.authority.current()),
      joinTokensOutstanding: parts.joinTokens.outstanding(),
      ...(await parts.status()),
    }),
  })
}
