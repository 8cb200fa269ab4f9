import { Type, type Static } from 'typebox'
import { AgentSocket, File, Strict } from './words.ts'

const FromFiles = Strict({
  source: Type.Literal('files', { description: 'Another program keeps it on disk.' }),
  certificateFile: File('X.509-SVID, leaf first. Read again when it changes.', {
    holds: 'certificates',
  }),
  keyFile: File('Its private key.', { holds: 'private-key' }),
  bundleFile: File('Roots of the trust domain.', { holds: 'certificates' }),
})

const FromAgent = Strict({
  source: Type.Literal('workload-api', {
    description: 'A SPIRE agent, or another that speaks the SPIFFE Workload API.',
  }),
  socket: AgentSocket(
    'Its socket, `unix:///PATH`. The agent must have an entry for the `spiffeId`.',
  ),
})

/** Of a gateway. */
export const OwnIdentity = Type.Union(
  [
    Strict({
      source: Type.Literal('exchange', { description: 'The exchange issues it.' }),
      joinTokenFile: Type.Optional(
        File('One-use token for the first certificate; later ones are asked for with the last.', {
          access: 'later',
        }),
      ),
      svidFile: Type.Optional(
        File(
          'Keeps each certificate with its key and the roots, mode 600. A gateway that starts again goes on with it, and needs no new join token.',
          { access: 'write' },
        ),
      ),
      tokenFile: Type.Optional(
        File(
          'Instead of a join token the token of a platform, such as one that Kubernetes projects; read anew for each certificate.',
          { access: 'later' },
        ),
      ),
    }),
    FromFiles,
    FromAgent,
  ],
  { description: "Where the gateway's own X.509-SVID comes from." },
)
export type OwnIdentity = Static<typeof OwnIdentity>

/** Of an exchange, which needs none from elsewhere. */
export const ExchangeIdentity = Type.Union([FromFiles, FromAgent], {
  description:
    'Where its own X.509-SVID comes from, which it shows as a server; who comes with a certificate of the same roots is let in beside those of its own CA. By default its own CA issues it.',
})
export type ExchangeIdentity = Static<typeof ExchangeIdentity>
