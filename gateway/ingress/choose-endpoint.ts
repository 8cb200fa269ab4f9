import { pass, refuse } from '#contract/problem'
import type { Step } from '#contract/step'
import type { Picked } from '../upstream/upstream-group.ts'
import type { CompiledRoute } from './compiled-route.ts'

/**
 * Takes the upstream's next endpoint in turn; whoever forwards gives it back by `upstream.done()`.
 *
 * @returns A step refusing with `upstream-busy` when the upstream has all the requests that it may have.
 */
export const chooseEndpoint: Step<{ readonly route: CompiledRoute }, Picked> = ({ route }) => {
  const picked = route.upstream.pick()
  return picked ? pass(picked) : refuse('upstream-busy', { headers: { 'Retry-After': '1' } })
}
