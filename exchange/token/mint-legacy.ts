import type { SpiffeId } from '#contract/spiffe-id'
import type { LegacyIdentity } from '../legacy/registry.ts'
import type { IssuedRegister } from '../issued/register.ts'
import { admit, type AdmitParts } from './admit.ts'
import type { Grant } from './grant.ts'
import type { Allowed } from './grants.ts'
import { mint, type MintParts } from './mint.ts'
import { noteMinted, type Notes } from './notes.ts'
import { ownIssuerName } from './own-token.ts'
import type { Exchanged, TokenQuestion } from './question.ts'

export type MintLegacyParts = MintParts &
  AdmitParts & {
    readonly register: Pick<IssuedRegister, 'add'>
    readonly legacy: { readonly lifetimeSeconds: number }
  }

export type LegacyAsked = {
  /** Who proved to be who. */
  readonly caller: LegacyIdentity
  /** Who is given the token: the caller itself, or a gateway for it. */
  readonly client: string
  readonly clientSpiffeId: SpiffeId | undefined
  readonly grant: Allowed | undefined
  readonly wish: Pick<Grant, 'kind' | 'audience' | 'scopes'>
  /** What a refusal is about. */
  readonly about: 'client' | 'subject_token'
}

/** The last of it for a caller without a token, however its credential came: limits, policy, and a token marked as such. */
export const mintLegacy = async (
  question: TokenQuestion,
  { caller, client, clientSpiffeId, grant, wish, about }: LegacyAsked,
  parts: MintLegacyParts,
  nowMs: number,
  record: Notes,
): Promise<Exchanged['result']> => {
  const { spiffeId, method } = caller
  const { kind, audience, scopes } = wish
  const admitted = await admit(
    parts,
    {
      ...question,
      clientSpiffeId,
      subject: { spiffeId, token: { issuerName: ownIssuerName, claims: { legacy: method } } },
      grant,
      asked: { client, tokenType: kind, audience, scopes, actor: null },
    },
    nowMs,
    record,
    about,
  )
  if (!admitted.ok) return admitted

  record.at('mint')
  const issuedAtSeconds = Math.floor(nowMs / 1000)
  const minted = mint(
    {
      ...wish,
      subject: spiffeId,
      clientId: client,
      act: undefined,
      actor: undefined,
      confirmation: undefined,
      transaction: undefined,
      provenance: method,
      issuedAtSeconds,
      expiresAtSeconds: issuedAtSeconds + parts.legacy.lifetimeSeconds,
      allowedBy: grant,
    },
    parts,
    nowMs,
  )
  if (!minted.ok) return minted
  return noteMinted(minted.value, client, '', parts.register, record)
}
