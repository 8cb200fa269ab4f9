import { pass } from '#contract/problem'
import type { Step } from '#contract/step'
import type { Origin } from '#http/forwarded'
import type { CompiledRoute, LimitKey } from './compiled-route.ts'
import type { Subject } from './identify.ts'
import type { Quota } from '#contract/quota'

/** Per address, before anything that costs: a flood would make us pay for the signature check. */
export const limitAddress =
  (
    limit: Step<LimitKey, Quota> | undefined,
  ): Step<{ readonly origin: Origin }, Quota | undefined> =>
  ({ origin }) =>
    limit ? limit({ key: origin.address }) : pass(undefined)

/** For the route as a whole, whoever calls. */
export const limitRoute: Step<{ readonly route: CompiledRoute }, Quota | undefined> = ({ route }) =>
  route.routeLimit ? route.routeLimit({ key: route.id }) : pass(undefined)

/** Per caller: by SPIFFE ID, or by address where nobody had to say who they are. */
export const limitCaller: Step<
  { readonly route: CompiledRoute; readonly subject: Subject | null; readonly origin: Origin },
  Quota | undefined
> = ({ route, subject, origin }) =>
  route.callerLimit
    ? route.callerLimit({ key: subject ? subject.spiffeId : origin.address })
    : pass(undefined)
