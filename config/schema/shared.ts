import { Type } from 'typebox'
import { Federation } from './federation.ts'
import { Identities } from './identities.ts'
import { Issuers } from './issuers.ts'

/** What gateway and exchange must agree on, usually in one file that both `include:`. */
export const shared = {
  version: Type.Literal(1, { description: 'Version of this format.' }),
  trustDomain: Type.String({
    format: 'trust-domain',
    description: 'SPIFFE trust domain of the mesh, such as `mesh.example`.',
  }),
  federation: Federation,
  issuers: Issuers,
  identities: Identities,
}
