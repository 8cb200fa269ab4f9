import { setImmediate } from 'node:timers/promises'

const sliceMs = 5

/** Does something for each, in turns of some milliseconds: what is being served meanwhile hardly waits, however many they are. */
export const inSlices = async <Item>(
  items: Iterable<Item>,
  each: (item: Item) => void,
): Promise<void> => {
  let until = performance.now() + sliceMs
  for (const item of items) {
    each(item)
    if (performance.now() < until) continue
    await setImmediate()
    until = performance.now() + sliceMs
  }
}
