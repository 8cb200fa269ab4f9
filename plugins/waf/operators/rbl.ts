import { addressBytes } from '#contract/ip-address'
import { namedKind } from '../block-lists.ts'
import type { Operator } from './operator.ts'

const maxNameBytes = 253

/**
 * `@rbl ZONE`: a list in the DNS names the address, or the host, that the value is (RFC 5782). Captures a sentence about
 * it. The request waits for the answer; a list that does not answer names nobody.
 */
export const rbl: Operator = (argument, { settings, askBlockList }) => {
  const zone = argument.trim().toLowerCase()
  if (!/^[a-z0-9_-]+(?:\.[a-z0-9_-]+)+$/.test(zone))
    throw new TypeError(`@rbl needs the name of a zone, not ${JSON.stringify(argument)}`)
  return {
    test: () => false,
    ask: async (value) => {
      const label = labelOf(value)
      if (label === undefined) return undefined
      const key = zone.endsWith('httpbl.org') ? settings().httpBlKey : ''
      const name = key === '' ? `${label}.${zone}` : `${key}.${label}.${zone}`
      if (key === undefined || name.length > maxNameBytes) return undefined
      const answer = await askBlockList(name)
      const kind = answer === undefined ? undefined : namedKind(zone, answer)
      // Never the key. CRS 3.3 looks for these words, whatever variable the rule asks about.
      return kind === undefined
        ? undefined
        : () => [`RBL lookup of ${label}.${zone} succeeded at TX:checkip.${kind}`]
    },
  }
}

/** Addresses backwards, by bytes or by half bytes (RFC 5782 §2.1 and §2.4); hosts as they are. */
const labelOf = (value: string): string | undefined => {
  const bytes = addressBytes(value)
  if (bytes === undefined)
    return /^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/i.test(value) ? value.toLowerCase() : undefined
  const parts = bytes.length === 4 ? bytes.map(String) : bytes.flatMap(halvesOf)
  return parts.toReversed().join('.')
}
const halvesOf = (byte: number): readonly string[] => [
  (byte >> 4).toString(16),
  (byte & 15).toString(16),
]
