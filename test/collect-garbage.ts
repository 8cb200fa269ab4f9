import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** All of it. What was made or asked for by a `WeakRef` in this turn of the event loop is alive until its end. */
export const collectGarbage = (): void => {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  // What native objects hold goes with the second.
  for (let i = 0; i < 3; i += 1) if (typeof collect === 'function') collect()
}
