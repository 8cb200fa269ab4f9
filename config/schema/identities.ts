import { Type, type Static } from 'typebox'
import { Id, Strict } from './words.ts'

/** One rule of who becomes whom. */
export const IdentityRule = Strict({
  name: Id('Name of the rule, for records.'),
  issuer: Type.String({ description: 'Name of the issuer whose tokens it is for.' }),
  subject: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 1024,
      format: 'spiffe-id-pattern-named',
      description:
        'For tokens whose `sub` is a SPIFFE ID: which, with `{name}` for any one segment, which `spiffeId` can then use: `spiffe://partner.example/jobs/{job}`.',
    }),
  ),
  match: Type.Record(
    Type.String({ minLength: 1 }),
    Type.Union([
      Type.String({ minLength: 1 }),
      Type.Array(Type.String({ minLength: 1 }), { minItems: 1, uniqueItems: true }),
    ]),
    {
      default: {},
      description:
        'Claims that must have exactly this value, or one of these. A claim that is a list must contain it.',
    },
  ),
  spiffeId: Type.String({
    minLength: 1,
    maxLength: 1024,
    format: 'spiffe-id-template',
    description:
      'The SPIFFE ID to give, with `{claim}` for a claim that is a string, or for a name of `subject`; its value must be fit to be one path segment.',
  }),
})
export type IdentityRule = Static<typeof IdentityRule>

export const Identities = Type.Array(IdentityRule, {
  description: 'Who becomes whom. No rule, no identity; two rules for one caller are a fault.',
})
export type Identities = Static<typeof Identities>
