import { readFile } from 'node:fs/promises'
import { causeText } from '#contract/cause'
import { bad, good, type Outcome } from './outcome.ts'

const maxTokenChars = 16_384
/** RFC 6750 §2.1. */
const bearerShape = /^[A-Za-z0-9\-._~+/]+=*$/

/**
 * Reads a bearer token of ours from a file, as it is now: Kubernetes replaces its tokens while we run, by renaming, so what
 * is there is whole.
 */
export const readTokenFile = async (file: string): Promise<Outcome<string>> => {
  try {
    const text = (await readFile(file, 'utf8')).trim()
    return text.length <= maxTokenChars && bearerShape.test(text)
      ? good(text)
      : bad(`${file} holds no token`)
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause)) throw cause
    return bad(`cannot read ${file}: ${causeText(cause)}`)
  }
}
