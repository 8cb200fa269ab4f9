import { readFile, rm } from 'node:fs/promises'
import { causeText } from '#contract/cause'
import type { Log } from '#contract/telemetry'
import type { SpiffeId } from '#contract/spiffe-id'
import type { JoinTokens } from './join-tokens.ts'
import { writeAtomically } from '#http/write-atomically'

export type JoinTokenFile = {
  readonly spiffeId: SpiffeId
  readonly file: string
  readonly lifetimeSeconds: number
}

/**
 * Writes a join token for each of these files, mode 600.
 *
 * @throws Error naming the file that cannot be written, and the remedy.
 */
export const writeJoinTokens = async (
  files: readonly JoinTokenFile[],
  joinTokens: JoinTokens,
): Promise<void> => {
  for (const { spiffeId, file, lifetimeSeconds } of files) {
    const issued = joinTokens.issue(spiffeId, lifetimeSeconds)
    if (!issued.ok) throw new Error(`joinTokens: ${issued.problem.detail ?? 'too many'}`)
    try {
      await writeAtomically(file, `${issued.value.token.reveal()}\n`, 0o600)
    } catch (cause) {
      throw new Error(
        `${file}: the join token of ${spiffeId} cannot be written (${causeText(cause)}). Remedy: make its folder, and let this user write there.`,
        { cause },
      )
    }
  }
}

/** Takes away the file whose token was spent: what is in it is worthless now, and would only be tried again. */
export const removeSpent = async (
  files: readonly JoinTokenFile[],
  token: string,
  log: Log,
): Promise<void> => {
  for (const { file } of files) {
    try {
      if ((await readFile(file, 'utf8')).trim() === token) await rm(file)
    } catch (cause) {
      if (!(cause instanceof Error && 'code' in cause)) throw cause
      if (cause.code !== 'ENOENT')
        log.warn({ file, cause: causeText(cause) }, 'a spent join token could not be taken away')
    }
  }
}
