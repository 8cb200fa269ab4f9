import { selects } from '../seclang/parse-targets.ts'
import type { Target } from '../seclang/syntax.ts'

/** Whether a target chooses a key; undefined if it chooses all. */
export const acceptsOf = ({
  selector,
  except,
}: Pick<Target, 'selector' | 'except'>): ((key: string) => boolean) | undefined => {
  if (selector.kind === 'all' && except.length === 0) return undefined
  if (selector.kind === 'key' && except.length === 0) return (key) => key === selector.key
  const keys = new Set(except.flatMap((one) => (one.kind === 'key' ? [one.key] : [])))
  const others = except.filter((one) => one.kind !== 'key')
  return (key) =>
    selects(selector, key) && !keys.has(key) && !others.some((one) => selects(one, key))
}
