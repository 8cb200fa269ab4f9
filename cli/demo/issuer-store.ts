import type { Adapter, AdapterPayload } from 'oidc-provider'

/** Where the demo's provider keeps its state: in memory, for it lives no longer than the demo. */
export const issuerStore = (kind: string): Adapter => {
  const all = new Map<string, AdapterPayload>()
  const findBy = (wanted: Partial<AdapterPayload>) =>
    [...all.values()].find((payload) =>
      Object.entries(wanted).every(
        ([key, value]) => payload[key as keyof AdapterPayload] === value,
      ),
    )
  return {
    upsert: async (id, payload) => void all.set(`${kind} ${id}`, payload),
    find: async (id) => all.get(`${kind} ${id}`),
    findByUid: async (uid) => findBy({ uid }),
    findByUserCode: async (userCode) => findBy({ userCode }),
    destroy: async (id) => void all.delete(`${kind} ${id}`),
    revokeByGrantId: async (grantId) => {
      for (const [key, payload] of all) if (payload.grantId === grantId) all.delete(key)
    },
    consume: async (id) => {
      const payload = all.get(`${kind} ${id}`)
      if (payload) payload.consumed = true
    },
  }
}
