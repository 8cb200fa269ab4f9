import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { causeText } from '#contract/cause'
import type { TrustDomain } from '#contract/spiffe-id'
import { writeAtomically } from '#http/write-atomically'
import { bad, good, type Outcome } from '../outcome.ts'
import { acceptBundle, type Bundle } from '../svid/bundle.ts'

/**
 * The last bundle of each other trust domain on disk, so that after a restart none that is older is taken, and callers need
 * not wait for its endpoint.
 */
export type BundleStore = {
  /** Undefined if there is none. A fault for one that cannot be read, which then counts for nothing. */
  readonly load: (trustDomain: TrustDomain) => Promise<Outcome<Bundle | undefined>>
  readonly save: (trustDomain: TrustDomain, document: Buffer) => Promise<Outcome<void>>
}

/** One file for each domain, `TRUST_DOMAIN.json`, the document as it came. It holds no secret, but who may change it decides whom we trust. */
export const bundleStoreIn = (directory: string): BundleStore => {
  const fileOf = (trustDomain: TrustDomain) => join(directory, `${trustDomain}.json`)
  const load: BundleStore['load'] = async (trustDomain) => {
    const file = fileOf(trustDomain)
    try {
      const bundle = await acceptBundle(await readFile(file), trustDomain)
      return bundle.ok ? bundle : bad(`${file}: ${bundle.fault}`)
    } catch (cause) {
      if (!(cause instanceof Error && 'code' in cause)) throw cause
      return cause.code === 'ENOENT' ? good(undefined) : bad(causeText(cause))
    }
  }
  return {
    load,
    save: async (trustDomain, document) => {
      try {
        await writeAtomically(fileOf(trustDomain), document.toString('utf8'), 0o600)
        return good(undefined)
      } catch (cause) {
        if (!(cause instanceof Error && 'code' in cause)) throw cause
        return bad(causeText(cause))
      }
    },
  }
}

/** Nothing is kept: after a restart any bundle is taken that its endpoint gives. */
export const noBundleStore: BundleStore = {
  load: async () => good(undefined),
  save: async () => good(undefined),
}
