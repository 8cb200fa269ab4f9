import type { Target } from './target.ts'

/**
 * Chooses where a request goes: of two taken by chance the one with fewer requests under way. That comes close to asking
 * all of them, and does not send everybody to the same one at once.
 *
 * Between targets of unlike weight chance decides first, in proportion to what they weigh together, so that a canary gets
 * its share however little there is to do.
 *
 * @param targets Those that may be chosen.
 * @param random From 0 up to and without 1.
 * @see M. Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 2001
 */
export const chooseTarget = (
  targets: readonly Target[],
  random: () => number,
): Target | undefined => {
  const alike =
    targets.length < 2 || haveOneWeight(targets) ? targets : ofOneWeight(targets, random)
  if (alike.length < 2) return alike[0]
  const first = Math.floor(random() * alike.length)
  const other = (first + 1 + Math.floor(random() * (alike.length - 1))) % alike.length
  const [one, two] = [alike[first], alike[other]]
  return one && two && two.inFlight < one.inFlight ? two : one
}

const haveOneWeight = (targets: readonly Target[]): boolean =>
  targets.every(({ weight }) => weight === targets[0]?.weight)

const ofOneWeight = (targets: readonly Target[], random: () => number): readonly Target[] => {
  let left = random() * targets.reduce((sum, { weight }) => sum + weight, 0)
  const chosen = targets.find(({ weight }) => (left -= weight) < 0) ?? targets[0]
  return targets.filter(({ weight }) => weight === chosen?.weight)
}

/** Cheap chance for choices that protect nothing. */
export const quickRandom = (seed: number): (() => number) => {
  let state = seed >>> 0 || 1
  return () => {
    // xorshift32, G. Marsaglia 2003
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 4_294_967_296
  }
}
