import { pass, refuse, type Result } from '#contract/problem'
import type { Step } from '#contract/step'
import type { Picked } from '../upstream/upstream-group.ts'
import type { CompiledRoute } from './compiled-route.ts'

/**
 * Takes an endpoint of the upstream; whoever forwards gives it back by its `done`.
 *
 * @returns A step refusing with `upstream-busy` when the upstream has all the requests that it may have.
 */
export const chooseEndpoint: Step<{ readonly route: CompiledRoute }, Picked> = ({ route }) => {
  const picked = route.upstream.pick()
  return picked instanceof Promise ? picked.then(resultOf) : resultOf(picked)
}

const resultOf = (picked: Picked | undefined): Result<Picked> =>
  picked ? pass(picked) : refuse('upstream-busy', { headers: { 'Retry-After': '1' } })
