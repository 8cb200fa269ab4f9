import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What the committed bundle was built from. */
export type BundleSources = {
  readonly opa: string
  /** Revision of the bundle: a digest of all that went into it. */
  readonly revision: string
  /** SHA-256 of each file, in hex. */
  readonly sources: Readonly<Record<string, string>>
}

export const policyDirectory = import.meta.dirname
export const bundleFile = join(policyDirectory, 'bundle/bundle.tar.gz')
export const sourcesFile = join(policyDirectory, 'bundle/sources.json')

const isSource = (name: string) =>
  (name.endsWith('.rego') && !name.endsWith('_test.rego')) ||
  name === 'data.json' ||
  name === 'capabilities.json'

/** The files of a folder that go into its bundle, with their digests now. */
export const sourcesIn = (directory: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(directory)
      .filter(isSource)
      .sort()
      .map((name) => [name, sha256(readFileSync(join(directory, name)))]),
  )

export const revisionOf = (opa: string, sources: Readonly<Record<string, string>>): string =>
  sha256(JSON.stringify([opa, sources])).slice(0, 16)

/** What `bundle/sources.json` says that the bundle was built from. */
export const readBundleSources = (): BundleSources =>
  JSON.parse(readFileSync(sourcesFile, 'utf8')) as BundleSources

export const sha256 = (bytes: string | Buffer): string =>
  createHash('sha256').update(bytes).digest('hex')
