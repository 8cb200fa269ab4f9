import { aws } from './aws.ts'
import { certificates } from './certificates.ts'
import { conflictingRoutes } from './conflicting-routes.ts'
import { cors } from './cors.ts'
import { duplicateNames } from './duplicate-names.ts'
import { egress } from './egress.ts'
import { egressCredentials } from './egress-credentials.ts'
import { federation } from './federation.ts'
import { files } from './files.ts'
import { grants } from './grants.ts'
import { grpc } from './grpc.ts'
import { issuerKeys } from './issuer-keys.ts'
import { legacy } from './legacy.ts'
import { listeners } from './listeners.ts'
import { oneIdOfTwoIssuers } from './one-id-of-two-issuers.ts'
import { overlappingIdentities } from './overlapping-identities.ts'
import { ownIdentity } from './own-identity.ts'
import { platforms } from './platforms.ts'
import { reservedIdentities } from './reserved-identities.ts'
import type { Rule } from './rule.ts'
import { tokenReviews } from './token-reviews.ts'
import { trustDomain } from './trust-domain.ts'
import { unknownReferences } from './unknown-references.ts'
import { withoutEffect } from './without-effect.ts'
import { workers } from './workers.ts'

/** What is asked of every configuration beyond its shape, wherever it is read. */
export const rules: readonly Rule[] = [
  unknownReferences,
  duplicateNames,
  conflictingRoutes,
  overlappingIdentities,
  oneIdOfTwoIssuers,
  trustDomain,
  federation,
  reservedIdentities,
  issuerKeys,
  platforms,
  ownIdentity,
  grants,
  legacy,
  aws,
  tokenReviews,
  listeners,
  cors,
  grpc,
  egress,
  egressCredentials,
  withoutEffect,
  workers,
]

/** What is asked of the files that it names. */
export const fileRules: readonly Rule[] = [files, certificates]
