/** What must not compile. `tsc` checks this file: an expected error that does not come is an error. */
import { admitted, pass, refuse } from '#contract/problem'
import type { Guard, Step } from '#contract/step'
import { begin, type KnownOf } from '#gateway/compose'
import { ingress, type Admitted } from '#gateway/ingress/pipeline'

type Received = { readonly host: string; readonly address: string; readonly bearer?: string }
type Route = { readonly id: string }
type Caller = { readonly subject: string }

declare const perAddress: Guard<{ address: string }>
declare const findRoute: Step<{ host: string }, Route>
declare const authenticate: Step<{ route: Route; bearer?: string }, Caller>
declare const perCaller: Guard<{ caller: Caller }>

const way = begin<Received>()
  .guard('address limit', perAddress)
  .learn('route', findRoute)
  .learn('caller', authenticate)
  .guard('caller limit', perCaller)

declare const known: KnownOf<typeof way>
const exactly: Received & { readonly route: Route; readonly caller: Caller } = known
void exactly

// @ts-expect-error a caller cannot be known before the route is
begin<Received>().learn('caller', authenticate)
// @ts-expect-error a guard cannot judge a caller whom nobody knows
begin<Received>().guard('caller limit', perCaller)
// @ts-expect-error a fact is learned once
begin<Received>().learn('route', findRoute).learn('route', findRoute)
// @ts-expect-error nor may a step replace what was received
begin<Received>().learn('host', findRoute)

// @ts-expect-error a guard that forgets to say yes
export const silent: Guard<Received> = ({ host }) => {
  if (host === '') return refuse('internal')
}
// @ts-expect-error a guard that says something else
export const wrong: Guard<Received> = () => 'no'
export const writes: Step<{ host: string }, string> = (request) => {
  // @ts-expect-error a step may not write
  request.host = 'evil'
  return pass('x')
}
// @ts-expect-error a refusal needs a tag of the table
refuse('because')
// @ts-expect-error a guard may not learn
export const learns: Guard<Received> = () => pass(3)

// The real way: what forwards may rely on every fact, and on nothing that no step learns.
declare const request: Admitted
void [request.route.id, request.identity?.minted.subject, request.decision.allow, ingress, admitted]
// @ts-expect-error no step learns this
void request.tenant
