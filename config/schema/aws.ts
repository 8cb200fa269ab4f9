import { Type, type Static } from 'typebox'
import { File, Named, SpiffeIdText, Strict } from './words.ts'

/** A role or user of AWS that asks for itself. */
export const AwsCaller = Strict({
  arn: Type.String({
    pattern: '^arn:aws(-[a-z]+)*:iam::[0-9]{12}:(role|user)/[\\w+=,.@/-]{1,700}$',
    expects: 'the ARN of a role or a user, such as `arn:aws:iam::123456789012:role/NAME`',
    description:
      'Of the role itself, without its path and without a session: `arn:aws:iam::123456789012:role/NAME`. Or of a user, with its path.',
  }),
  uniqueId: Type.Optional(
    Type.String({
      pattern: '^[A-Z0-9]{16,128}$',
      expects: 'a unique id of IAM, such as `AROA…` or `AIDA…`',
      description:
        'The id that AWS gave it, which a namesake that is made later does not have: `aws iam get-role`.',
    }),
  ),
  spiffeId: SpiffeIdText('Who it is here.'),
})
export type AwsCaller = Static<typeof AwsCaller>

export const Aws = Strict(
  {
    endpoints: Type.Array(Type.String({ format: 'https-url' }), {
      minItems: 1,
      uniqueItems: true,
      description:
        'STS endpoints that callers may have signed for: `https://sts.REGION.amazonaws.com`. No other is ever asked.',
    }),
    caFile: Type.Optional(
      File('PEM certificates to trust there, instead of the public ones.', {
        holds: 'certificates',
      }),
    ),
    callers: Named(AwsCaller, { description: 'By a name of your own, for records.' }),
  },
  {
    description:
      'Callers that show by a signed `sts:GetCallerIdentity` who they are, where `sts:GetWebIdentityToken` is not to be had. Each request is good once; `grants` to `self` say what for.',
  },
)
export type Aws = Static<typeof Aws>
