import { readFile } from 'node:fs/promises'
import type { SpiffeId } from '#contract/spiffe-id'
import type { Client, Clients } from '#config/schema'
import { acceptJwkSet, type KeySet } from '#identity/jwt/jwks'
import type { Asker } from './asker.ts'
import { secretHash, type FitsSecret } from '#identity/credentials/secret-hash'

/** How a client proves who it is. */
export type Proof =
  | { readonly method: 'tls_client_auth'; readonly spiffeId: SpiffeId }
  | { readonly method: 'private_key_jwt'; readonly keys: KeySet['keys'] }
  | { readonly method: 'client_secret'; readonly secrets: readonly FitsSecret[] }

export type RegisteredClient = {
  readonly asker: Extract<Asker, { kind: 'client' }>
  readonly proof: Proof
}

export type ClientRegistry = {
  readonly byId: ReadonlyMap<string, RegisteredClient>
  readonly bySpiffeId: ReadonlyMap<SpiffeId, RegisteredClient>
  /** Methods by which some client proves who it is, as the metadata name them. */
  readonly methods: ReadonlySet<Proof['method']>
}

/**
 * Reads the clients of the configuration with their keys.
 *
 * @throws Error that names the client and what the operator has to mend.
 */
export const clientRegistry = async (clients: Clients): Promise<ClientRegistry> => {
  const byId = new Map<string, RegisteredClient>()
  const bySpiffeId = new Map<SpiffeId, RegisteredClient>()
  for (const [id, client] of Object.entries(clients)) {
    const proof = await proofOf(id, client)
    const spiffeId = proof.method === 'tls_client_auth' ? proof.spiffeId : undefined
    const { receives, bound } = client
    const registered = {
      asker: { kind: 'client', id, spiffeId, receives: new Set(receives), bound },
      proof,
    } as const
    byId.set(id, registered)
    if (spiffeId === undefined) continue
    if (bySpiffeId.has(spiffeId))
      throw new Error(`clients.${id}: another client has the SPIFFE ID ${spiffeId} already`)
    bySpiffeId.set(spiffeId, registered)
  }
  const methods = new Set([...byId.values()].map(({ proof }) => proof.method))
  return { byId, bySpiffeId, methods }
}

const proofOf = async (id: string, { authentication }: Client): Promise<Proof> => {
  switch (authentication.method) {
    case 'tls_client_auth':
      return { method: 'tls_client_auth', spiffeId: authentication.spiffeId as SpiffeId }
    case 'client_secret':
      return { method: 'client_secret', secrets: authentication.secretHashes.map(secretHash) }
    case 'private_key_jwt': {
      const { jwksFile, algorithms } = authentication
      const set = await acceptJwkSet(await readFile(jwksFile), algorithms)
      if (set.ok) return { method: 'private_key_jwt', keys: set.value.keys }
      throw new Error(`clients.${id}: ${jwksFile}: ${set.fault}`)
    }
    default:
      return authentication satisfies never
  }
}
