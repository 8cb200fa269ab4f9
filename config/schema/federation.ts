import { Type, type Static } from 'typebox'
import { AgentSocket, File, SpiffeIdText, Strict } from './words.ts'

const BundleUrl = Type.String({
  format: 'https-url',
  description: 'Where its SPIFFE bundle is. Redirects are not followed.',
})

const BundleEndpoint = Type.Union(
  [
    Strict({
      profile: Type.Literal('https_web', { description: 'Known by a certificate of the web.' }),
      url: BundleUrl,
      caFile: Type.Optional(
        File('PEM roots to trust there instead of the public ones.', { holds: 'certificates' }),
      ),
    }),
    Strict({
      profile: Type.Literal('https_spiffe', { description: 'Known by its SPIFFE ID.' }),
      url: BundleUrl,
      spiffeId: SpiffeIdText('Who must answer there.'),
      bundleFile: Type.Optional(
        File(
          'The SPIFFE bundle to begin with, as JSON. Needed where who answers is of the same trust domain.',
          { holds: 'json' },
        ),
      ),
    }),
    Strict({
      profile: Type.Literal('workload-api', { description: 'Given by a SPIRE agent, streamed.' }),
      socket: AgentSocket(
        'Its socket, `unix:///PATH`. Our entry there has to federate with the trust domain.',
      ),
    }),
  ],
  {
    description:
      'Where its bundle comes from, asked as often as the bundle hints (5 s to an hour).',
  },
)

/** Other trust domains, whose members may be reached or let in where the configuration says so. */
export const Federation = Strict(
  {
    directory: Type.Optional(
      File(
        'Where their last bundles are kept, so that none that is older is taken after a restart. Without it they are forgotten.',
        { access: 'directory' },
      ),
    ),
    trustDomains: Type.Record(
      Type.String({ pattern: '^[a-z0-9._-]{1,255}$' }),
      Strict({ bundleEndpoint: BundleEndpoint }),
      {
        default: {},
        additionalProperties: false,
        keyExpects: 'a trust domain, such as `partner.example`',
        description:
          'By their names. To be named here opens nothing: upstreams, `egress.trustDomains` and `clients` say who may be reached or come.',
      },
    ),
  },
  { default: {}, description: 'Federation with other trust domains. Bundles are never merged.' },
)
export type Federation = Static<typeof Federation>
