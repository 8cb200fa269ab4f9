import { Type, type Static } from 'typebox'

/** The policy that decides every request. */
export const PolicyOptions = Type.Object(
  {
    bundleFile: Type.String({
      minLength: 1,
      format: 'file',
      description: 'Bundle made by `opa build -t wasm`. Relative to the file that names it.',
    }),
    dataFile: Type.Optional(
      Type.String({
        minLength: 1,
        format: 'file',
        description:
          'JSON that replaces the `data` of the bundle: roles, tenants, times. Relative to the file that names it.',
      }),
    ),
    entrypoint: Type.String({
      minLength: 1,
      default: 'sallyport/decision',
      description: 'Rule that gives the decision.',
    }),
    maxInputBytes: Type.Integer({
      minimum: 1024,
      default: 65_536,
      description: 'Larger inputs are denied.',
    }),
    maxMemoryBytes: Type.Integer({
      minimum: 1_048_576,
      maximum: 1_073_741_824,
      default: 67_108_864,
      description: 'Memory of the policy, its data included; one that needs more fails.',
    }),
  },
  { additionalProperties: false, description: 'The policy that decides every request.' },
)
export type PolicyOptions = Static<typeof PolicyOptions>
