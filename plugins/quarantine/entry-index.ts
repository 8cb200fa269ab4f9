import {
  quarantineKinds,
  type QuarantineEntry,
  type QuarantineKind,
  type WhereFrom,
  type WhoCalls,
} from '#contract/quarantine'
import { addressIndex } from './address-index.ts'
import { multiMap } from './multi-map.ts'
import { spiffeIdIndex } from './spiffe-id-index.ts'

/** An entry as it is looked for. */
export type Held = {
  readonly entry: QuarantineEntry
  readonly expiresAtMs: number
  /** Tokens issued before this are meant; all, where the entry says nothing. */
  readonly notBeforeMs: number
  /** What it has refused and cut here. */
  hits: number
}

/** Entries by what they cut off: a look-up costs the same however many there are. */
export type EntryIndex = {
  /** Puts an entry in; one of the same id makes way. */
  readonly put: (entry: QuarantineEntry) => void
  readonly remove: (id: string) => Held | undefined
  readonly get: (id: string) => Held | undefined
  readonly findWhere: (from: WhereFrom, nowMs: number) => Held | undefined
  readonly findWho: (caller: WhoCalls, nowMs: number) => Held | undefined
  /** In the order in which they were put in; ended ones too, until `prune`. */
  readonly all: () => IterableIterator<Held>
  readonly size: () => number
  readonly counts: () => Readonly<Record<QuarantineKind, number>>
  /** Takes out those that have ended. */
  readonly prune: (nowMs: number) => readonly QuarantineEntry[]
}

export const entryIndex = (): EntryIndex => {
  const byId = new Map<string, Held>()
  const addresses = addressIndex<Held>()
  const spiffeIds = spiffeIdIndex<Held>()
  const byText = {
    route: multiMap<Held>(),
    'client-certificate': multiMap<Held>(),
    issuer: multiMap<Held>(),
    subject: multiMap<Held>(),
    jti: multiMap<Held>(),
    kid: multiMap<Held>(),
  }
  const counts = Object.fromEntries(quarantineKinds.map((kind) => [kind, 0])) as Record<
    QuarantineKind,
    number
  >
  let nextEndMs = Infinity

  const change = (how: 'add' | 'remove', held: Held) => {
    const { by } = held.entry
    counts[by.kind] += how === 'add' ? 1 : -1
    switch (by.kind) {
      case 'address':
        return addresses[how](by.network, held)
      case 'spiffe-id':
        return spiffeIds[how](by.spiffeId, held)
      case 'client-certificate':
        return byText[by.kind][how](by.sha256, held)
      case 'route':
        return byText[by.kind][how](by.route, held)
      case 'issuer':
        return byText[by.kind][how](by.issuer, held)
      case 'subject':
        return byText[by.kind][how](by.subject, held)
      case 'jti':
        return byText[by.kind][how](by.jti, held)
      case 'kid':
        return byText[by.kind][how](by.kid, held)
      default:
        return by satisfies never
    }
  }

  const remove = (id: string): Held | undefined => {
    const held = byId.get(id)
    if (held === undefined) return undefined
    byId.delete(id)
    change('remove', held)
    return held
  }

  return {
    put: (entry) => {
      const before = remove(entry.id)
      const held: Held = {
        entry,
        expiresAtMs: entry.expiresAt === undefined ? Infinity : Date.parse(entry.expiresAt),
        notBeforeMs: entry.notBefore === undefined ? Infinity : Date.parse(entry.notBefore),
        hits: before?.hits ?? 0,
      }
      byId.set(entry.id, held)
      change('add', held)
      nextEndMs = Math.min(nextEndMs, held.expiresAtMs)
    },
    remove,
    get: (id) => byId.get(id),
    findWhere: ({ address, peerAddress, certificateSha256, route }, nowMs) =>
      inForce(addresses.find(address), nowMs) ??
      (peerAddress === address ? undefined : inForce(addresses.find(peerAddress), nowMs)) ??
      (route === undefined ? undefined : inForce(byText.route.find(route), nowMs)) ??
      (certificateSha256 === undefined
        ? undefined
        : inForce(byText['client-certificate'].find(certificateSha256), nowMs)),
    findWho: (caller, nowMs) =>
      inForceFor(byText.issuer.find(caller.issuerName), caller, nowMs) ??
      inForceFor(byText.issuer.find(caller.issuer), caller, nowMs) ??
      inForceFor(byText.subject.find(caller.subject), caller, nowMs) ??
      inForceFor(byText.kid.find(caller.kid), caller, nowMs) ??
      (caller.jti === undefined
        ? undefined
        : inForceFor(byText.jti.find(caller.jti), caller, nowMs)) ??
      (caller.spiffeId === undefined
        ? undefined
        : inForceFor(spiffeIds.find(caller.spiffeId), caller, nowMs)),
    all: () => byId.values(),
    size: () => byId.size,
    counts: () => counts,
    prune: (nowMs) => {
      if (nowMs < nextEndMs) return []
      const ended: QuarantineEntry[] = []
      nextEndMs = Infinity
      for (const { entry, expiresAtMs } of byId.values())
        if (expiresAtMs <= nowMs) ended.push(entry)
        else nextEndMs = Math.min(nextEndMs, expiresAtMs)
      for (const { id } of ended) remove(id)
      return ended
    },
  }
}

// Nearly always there is nothing, and then nothing is called.
const inForce = (found: readonly Held[], nowMs: number): Held | undefined =>
  found.length === 0 ? undefined : found.find(({ expiresAtMs }) => expiresAtMs > nowMs)

const inForceFor = (found: readonly Held[], caller: WhoCalls, nowMs: number): Held | undefined =>
  found.length === 0
    ? undefined
    : found.find(
        ({ entry, expiresAtMs, notBeforeMs }) =>
          expiresAtMs > nowMs &&
          (caller.issuedAtMs ?? -Infinity) < notBeforeMs &&
          isOfIssuer(entry, caller),
      )

const isOfIssuer = ({ by }: QuarantineEntry, { issuerName, issuer }: WhoCalls): boolean =>
  !('issuer' in by) || by.issuer === issuerName || by.issuer === issuer
