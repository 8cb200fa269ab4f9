import { createHash, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const scryptOf = promisify<string, Buffer, number, object, Buffer>(scrypt)

/** Whether a secret is the one that a hash was made of. Takes the same time for every secret. */
export type FitsSecret = (secret: string) => Promise<boolean>

/** As in RFC 7914 §2. Memory is 128 · N · r bytes, 32 MiB for the largest N that the schema allows, in each of the four
 * threads that libuv has for this. */
const blockSize = 8
const parallelism = 1

/**
 * Compiles a hash of the configuration: `sha256:HEX` for a secret of 32 random bytes, which nobody can guess however fast
 * it is tried, `scrypt:LOG2N:SALT:HASH` for any other.
 *
 * @throws TypeError for a text of another form, which the schema does not let through.
 */
export const secretHash = (text: string): FitsSecret => {
  const [kind, first = '', salt = '', key = ''] = text.split(':')
  if (kind === 'sha256') {
    const wanted = Buffer.from(first, 'hex')
    return async (secret) => timingSafeEqual(createHash('sha256').update(secret).digest(), wanted)
  }
  if (kind !== 'scrypt') throw new TypeError('a secret hash is of no known kind')
  const cost = 2 ** Number(first)
  const wanted = Buffer.from(key, 'base64url')
  const saltBytes = Buffer.from(salt, 'base64url')
  const options = { N: cost, r: blockSize, p: parallelism, maxmem: 256 * cost * blockSize }
  return async (secret) =>
    timingSafeEqual(await scryptOf(secret, saltBytes, wanted.length, options), wanted)
}
