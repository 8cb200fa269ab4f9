import { readFile, stat } from 'node:fs/promises'
import type { X509Certificate } from 'node:crypto'
import { causeText } from '#contract/cause'
import type { CertificateRule } from '#identity/credentials/client-certificate'
import { readRevocationList, type RevocationList } from '#identity/credentials/revocation-list'
import { bad, type Outcome } from '#identity/outcome'

/** Reads a file of revocations whenever it has changed since it was read. A file that cannot be read is a fault for every CA. */
export const revocationFile = (file: string): (() => Promise<CertificateRule['revoked']>) => {
  let known: { readonly version: string; readonly revoked: CertificateRule['revoked'] } | undefined
  return async () => {
    try {
      const { mtimeMs, size, ino } = await stat(file)
      const version = `${mtimeMs} ${size} ${ino}`
      if (known?.version !== version) known = { version, revoked: listsIn(await readFile(file)) }
      return known.revoked
    } catch (cause) {
      if (!(cause instanceof Error && 'code' in cause)) throw cause
      return () => bad(causeText(cause))
    }
  }
}

/** A signature is checked once for each CA that asks. */
const listsIn = (bytes: Buffer): CertificateRule['revoked'] => {
  const lists = new Map<string, Outcome<RevocationList>>()
  return (ca: X509Certificate) => {
    const list = lists.get(ca.fingerprint256) ?? readRevocationList(bytes, ca)
    lists.set(ca.fingerprint256, list)
    return list
  }
}
