import { generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import type { Secret } from '#contract/secret'
import type { SpiffeId } from '#contract/spiffe-id'
import { parseStrictObject } from '../json-strict.ts'
import { bad, type Outcome } from '../outcome.ts'
import { checkSvid } from './check-svid.ts'
import { createCsr } from './csr.ts'
import { askExchange, type ExchangeAddress } from './exchange-connection.ts'
import type { Svid } from './svid.ts'

/** How we prove to the exchange who we are. */
export type SvidProof =
  | {
      readonly kind: 'join-token' | 'platform-token'
      readonly token: Secret<string>
      readonly roots: string
    }
  | { readonly kind: 'svid'; readonly svid: Svid }

const generate = promisify(generateKeyPair)

/**
 * Asks the exchange for an X.509-SVID for a new P-256 key, which never leaves this process.
 *
 * @param spiffeId Who we are: a certificate for anybody else is refused.
 * @returns A fault says what went wrong, also for an answer whose parts do not fit together.
 */
export const requestSvid = async (
  exchange: ExchangeAddress,
  spiffeId: SpiffeId,
  proof: SvidProof,
  nowMs: number,
): Promise<Outcome<Svid>> => {
  const { privateKey } = await generate('ec', { namedCurve: 'P-256' })
  const isJoining = proof.kind !== 'svid'
  const answer = await askExchange(
    exchange,
    '/svid/x509',
    isJoining ? proof.roots : proof.svid.bundle,
    isJoining ? undefined : proof.svid,
    {
      method: 'POST',
      headers: {
        accept: 'application/json',
        'content-type': 'application/pkcs10',
        ...(isJoining ? { authorization: `Bearer ${proof.token.reveal()}` } : {}),
      },
      body: createCsr(privateKey),
    },
  )
  if (!answer.ok) return answer
  const parsed = parseStrictObject(answer.value)
  if (!parsed.ok) return bad(`the answer of the exchange: ${parsed.fault}`)
  const { x509_svid: certificateChain, bundle } = parsed.value
  if (typeof certificateChain !== 'string' || typeof bundle !== 'string')
    return bad('the answer of the exchange has no x509_svid or no bundle')
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const svid = checkSvid({ certificateChain, privateKey: pem, bundle }, nowMs)
  if (!svid.ok) return bad(`the answer of the exchange: ${svid.fault}`)
  if (svid.value.spiffeId !== spiffeId)
    return bad(`the exchange says that we are ${svid.value.spiffeId}, not ${spiffeId}`)
  return svid
}
