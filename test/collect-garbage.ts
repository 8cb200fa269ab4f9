import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Contexts that are made after the flag have it. */
const collector = (): ((options?: { readonly type: 'minor' }) => void) => {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
}

/** All of it. What was made or asked for by a `WeakRef` in this turn of the event loop is alive until its end. */
export const collectGarbage = (): void => {
  const collect = collector()
  // What native objects hold goes with the second.
  for (let i = 0; i < 3; i += 1) collect()
}

/** What is young to V8, and no more than that. */
export const collectYoung = (): void => collector()({ type: 'minor' })
