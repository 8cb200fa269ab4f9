// What must not compile of configurations, problems and metrics.
import { loadConfig } from '#config/load'
import type { GatewayConfig, Route } from '#config/schema'
import { refuse } from '#contract/problem'
import { noMeter } from '#contract/telemetry'

const loaded = await loadConfig('gateway', 'gateway.yaml')
// @ts-expect-error a configuration with faults has no `config`
void loaded.config
if (loaded.ok) {
  loaded.config satisfies GatewayConfig
  // @ts-expect-error the keys of a mesh are the exchange's
  void loaded.config.ca
  const url = loaded.config.limits.store.redis?.url
  // @ts-expect-error a secret is no text until it is revealed
  url satisfies string | undefined
  url?.reveal() satisfies string | undefined
  const { authenticate } = loaded.config.routes[0] as Route
  // @ts-expect-error a route may let strangers in: then it has no issuers
  void authenticate.issuers
  const { path } = (loaded.config.routes[0] as Route).match
  // @ts-expect-error a path is of one of three kinds
  void path.prefix
}
// @ts-expect-error there are two kinds of configuration
void loadConfig('sidecar', 'sidecar.yaml')

// @ts-expect-error a tag that is not in the table
void refuse('token-too-old')

// @ts-expect-error a metric that is not in the table
void noMeter.counter('sallyport_things_total', {})
// @ts-expect-error a label that the metric does not have
void noMeter.counter('sallyport_token_cache_total', { result: 'hit', route: 'a' })
// @ts-expect-error a value that the label cannot have
void noMeter.counter('sallyport_token_cache_total', { result: 'perhaps' })
// @ts-expect-error a gauge is no counter
void noMeter.gauge('sallyport_token_cache_total', { result: 'hit' })
