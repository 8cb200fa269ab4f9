import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { readTar } from './tar.ts'

const maxFileBytes = 16 * 1024 * 1024
const maxExpandedBytes = 64 * 1024 * 1024
const tarLimits = { maxMembers: 1000, maxNameBytes: 200 }

/** What a bundle holds that we use. */
export type BundleFile = {
  readonly wasm: Buffer
  /** What the policy reads as `data`. */
  readonly data: object
  readonly revision: string
  /** Its `.manifest`, of which nothing is known but that it is an object. */
  readonly manifest: object
  /** SHA-256 of the module, in hex. */
  readonly wasmDigest: string
}

/**
 * Reads a bundle as `opa build -t wasm` writes it.
 *
 * @throws Error that says what is wrong with it, for the caller to add its name.
 * @see https://www.openpolicyagent.org/docs/management-bundles#bundle-file-format
 */
export const readBundleFile = (file: string): BundleFile => {
  const members = readTar(expand(readBounded(file)), tarLimits)
  for (const name of members.keys())
    if (!isKnown(name))
      throw new Error(`it holds ${JSON.stringify(name)}, which has no place in it`)
  const wasm = members.get('policy.wasm')
  if (wasm === undefined) throw new Error('it holds no policy.wasm')
  const manifest = parse(members.get('.manifest'), '.manifest')
  const wasmDigest = digestOf(wasm)
  return {
    wasm,
    data: parse(members.get('data.json'), 'data.json'),
    revision: revisionOf(manifest) ?? shown(wasmDigest),
    manifest,
    wasmDigest,
  }
}

/** Reads data that replace those of a bundle; their digest becomes part of the revision. */
export const readDataFile = (file: string): { readonly data: object; readonly digest: string } => {
  const bytes = readBounded(file)
  return { data: parse(bytes, 'it'), digest: shown(digestOf(bytes)) }
}

const isKnown = (name: string): boolean =>
  name === '.manifest' || name === 'data.json' || name === 'policy.wasm' || name.endsWith('.rego')

const readBounded = (file: string): Buffer => {
  if (statSync(file).size > maxFileBytes) throw new Error(`it is larger than ${maxFileBytes} bytes`)
  return readFileSync(file)
}

const expand = (bytes: Buffer): Buffer => {
  try {
    return gunzipSync(bytes, { maxOutputLength: maxExpandedBytes })
  } catch (cause) {
    const isBomb = (cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
    const reason = isBomb ? `it expands to more than ${maxExpandedBytes} bytes` : 'it is not gzip'
    throw new Error(reason, { cause })
  }
}

const parse = (bytes: Buffer | undefined, name: string): object => {
  if (bytes === undefined) return {}
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch {
    // falls through: no JSON and no object are one fault
  }
  throw new Error(`${name} is not a JSON object`)
}

const revisionOf = (manifest: { readonly revision?: unknown }): string | undefined => {
  const { revision } = manifest
  return typeof revision === 'string' && /^[\x21-\x7e]{1,100}$/.test(revision)
    ? revision
    : undefined
}

const digestOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

const shown = (digest: string): string => digest.slice(0, 16)
