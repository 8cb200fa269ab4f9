import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { Reader, type CityResponse } from 'mmdb-lib'
import { makeEntries, noEntries, type Entries } from './engine/entries.ts'

/** Says where an address is, as `GEO:` has it; undefined if that is not known. */
export type GeoDatabase = { readonly find: (address: string) => Entries | undefined }

/**
 * Reads a database of countries or cities in MaxMind's format (`.mmdb`) into memory.
 *
 * @throws TypeError if it cannot be read, or is none.
 */
export const readGeoDatabase = (file: string): GeoDatabase => {
  const reader = open(file)
  return {
    find: (address) => {
      if (isIP(address) === 0) return undefined
      const found = reader.get(address)
      return found ? entriesOfPlace(found) : undefined
    },
  }
}

const open = (file: string): Reader<CityResponse> => {
  try {
    return new Reader<CityResponse>(readFileSync(file))
  } catch (cause) {
    throw new TypeError(`cannot read ${file} as a database of MaxMind's format`, { cause })
  }
}

const entriesOfPlace = (found: Partial<CityResponse>): Entries => {
  const { country, continent, city, location, postal, subdivisions } = found
  const pairs: [string, string][] = []
  const add = (name: string, value: string | number | undefined): void => {
    // Bytes are bytes: names outside ASCII are matched as they would be sent.
    if (value !== undefined) pairs.push([name, Buffer.from(String(value)).toString('latin1')])
  }
  add('COUNTRY_CODE', country?.iso_code)
  add('COUNTRY_NAME', country?.names.en)
  add('COUNTRY_CONTINENT', continent?.code)
  add('REGION', subdivisions?.[0]?.iso_code)
  add('CITY', city?.names.en)
  add('POSTAL_CODE', postal?.code)
  add('LATITUDE', location?.latitude)
  add('LONGITUDE', location?.longitude)
  return pairs.length === 0 ? noEntries : makeEntries(pairs)
}
