import type { Operator } from './operator.ts'

/** `@geoLookup`: the database of SecGeoLookupDb knows the address, and then `GEO:` says where it is. */
export const geoLookup: Operator = (_, { settings }) => {
  const find = (value: string) => settings().geoLookupDb?.find(value)
  return { test: (value) => find(value) !== undefined, locate: find }
}
