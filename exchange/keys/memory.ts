import type { KeyState, KeyStore } from './key-store.ts'

/** Keys that live as long as the process: for trying out, and for tests. */
export const memoryKeyStore = (): KeyStore => {
  let kept: KeyState | undefined
  return {
    load: async () => kept,
    save: async (state) => {
      kept = state
    },
  }
}
