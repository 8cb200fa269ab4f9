import { serverNameVerdicts, tunnelEnds } from './audit-event.ts'
import { problems, type ProblemTag } from './problem.ts'
import { quarantineKinds } from './quarantine.ts'

/** A label's values: a closed set written here, or ids that the configuration names (bounded by it). */
type Values = readonly string[] | 'configured'

type MetricShape = {
  readonly kind: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: Readonly<Record<string, Values>>
  readonly buckets?: readonly number[]
  /** Of a gauge that several workers have: what stands for all of them. The sum, where nothing is said. */
  readonly ofWorkers?: 'max' | 'min'
}

const problemTags = Object.keys(problems) as readonly ProblemTag[]
const fastSeconds = [0.00001, 0.00005, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5]
const propagationSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30, 300]
const requestSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** Families of ciphers that handshakes are counted by. */
export const cipherGroups = ['AES_128_GCM', 'AES_256_GCM', 'CHACHA20_POLY1305'] as const

/** Every metric there is. `docs/reference/metrics.md` is generated from this table. */
export const metrics = {
  sallyport_requests_total: {
    kind: 'counter',
    help: 'Exchanges with callers, by what became of them.',
    labels: {
      direction: ['ingress', 'egress'],
      route: 'configured',
      team: 'configured',
      outcome: ['forwarded', 'refused', 'failed', 'answered'],
      status_class: ['1xx', '2xx', '3xx', '4xx', '5xx'],
    },
  },
  sallyport_refusals_total: {
    kind: 'counter',
    help: 'Refused exchanges, by the step that refused and why.',
    labels: { direction: ['ingress', 'egress'], step: 'configured', problem: problemTags },
  },
  sallyport_turned_away_total: {
    kind: 'counter',
    help: 'Connections and requests that ended before the first step, by reason.',
    labels: {
      direction: ['ingress', 'egress', 'exchange', 'admin'],
      reason: [
        'parse',
        'headers-too-large',
        'timeout',
        'expectation',
        'too-many-connections',
        'requests-per-socket',
        'http2-stream',
        'http2-connection',
        'tls',
        'other',
      ],
    },
  },
  sallyport_request_duration_seconds: {
    kind: 'histogram',
    help: 'From the first byte of the head to the last byte of the answer.',
    labels: { direction: ['ingress', 'egress'], route: 'configured' },
    buckets: requestSeconds,
  },
  sallyport_step_duration_seconds: {
    kind: 'histogram',
    help: 'Time that each step of the way took; of ingress, for one request in each millisecond.',
    labels: { direction: ['ingress', 'egress'], step: 'configured' },
    buckets: fastSeconds,
  },
  sallyport_open: {
    kind: 'gauge',
    help: 'What is open now: requests, upgraded connections and tunnels.',
    labels: { direction: ['ingress', 'egress'] },
  },
  sallyport_connections: {
    kind: 'gauge',
    help: 'Open client connections.',
    labels: { listener: ['ingress', 'egress', 'exchange', 'admin'] },
  },
  sallyport_tls_handshakes_total: {
    kind: 'counter',
    help: 'Finished TLS handshakes, by what was agreed on. Which key exchange group that was, Node does not tell a server (`getEphemeralKeyInfo` is for clients): the profiles offer `X25519MLKEM768` first.',
    labels: {
      listener: ['ingress'],
      version: ['TLSv1.3', 'TLSv1.2', 'other'],
      cipher: [...cipherGroups, 'other'],
      resumed: ['yes', 'no'],
    },
  },
  sallyport_issuer_keys_age_seconds: {
    kind: 'gauge',
    ofWorkers: 'max',
    help: 'Seconds since the keys of an issuer were last fetched.',
    labels: { issuer: 'configured' },
  },
  sallyport_clock_ahead_seconds: {
    kind: 'gauge',
    ofWorkers: 'max',
    help: 'How far in our future the youngest token of late was issued: near 0 if the clocks agree, negative if it was old already. `(exchange)`: what this gateway was given.',
    labels: { issuer: 'configured' },
  },
  sallyport_issuer_fetches_total: {
    kind: 'counter',
    help: 'Fetches of the keys of an issuer, by why and how they went.',
    labels: {
      issuer: 'configured',
      reason: ['start', 'scheduled', 'unknown-kid', 'bad-signature'],
      result: ['ok', 'failed', 'unchanged'],
    },
  },
  sallyport_introspections_total: {
    kind: 'counter',
    help: 'Opaque tokens, by what their issuer said of them, or that it could not be asked.',
    labels: { issuer: 'configured', result: ['cached', 'active', 'refused', 'failed'] },
  },
  sallyport_token_cache_total: {
    kind: 'counter',
    help: 'Look-ups in the cache of verified tokens.',
    labels: { result: ['hit', 'miss'] },
  },
  sallyport_token_reviews_total: {
    kind: 'counter',
    help: 'Tokens of Kubernetes that the exchange showed to their API server, by what that said.',
    labels: { issuer: 'configured', result: ['good', 'refused', 'failed', 'cached'] },
  },
  sallyport_mint_cache_total: {
    kind: 'counter',
    help: 'Look-ups in the cache of minted tokens.',
    labels: { result: ['hit', 'miss', 'refreshed-ahead', 'stale-while-down'] },
  },
  sallyport_mints_total: {
    kind: 'counter',
    help: 'Tokens and certificates that the exchange issued or refused.',
    labels: {
      // `unknown`: refused before it was said.
      kind: ['jwt-svid', 'access-token', 'txn-token', 'x509-svid', 'inspection-leaf', 'unknown'],
      result: ['issued', 'refused', 'failed'],
    },
  },
  sallyport_mint_duration_seconds: {
    kind: 'histogram',
    help: 'Time that issuing took at the exchange.',
    labels: { kind: ['jwt-svid', 'access-token', 'txn-token', 'x509-svid', 'inspection-leaf'] },
    buckets: fastSeconds,
  },
  sallyport_issued_live: {
    kind: 'gauge',
    help: 'What the exchange has issued and has not ended, by the time in which it will end.',
    labels: {
      kind: ['jwt-svid', 'access-token', 'txn-token', 'x509-svid', 'inspection-leaf'],
      ends_within: ['1m', '5m', '1h', '24h', 'later'],
    },
  },
  sallyport_replay_checks_total: {
    kind: 'counter',
    help: 'Checks that what is good once was not used before.',
    labels: {
      what: ['client-assertion', 'dpop-proof', 'subject-token', 'signed-request'],
      result: ['first', 'replayed', 'unavailable'],
    },
  },
  sallyport_limit_decisions_total: {
    kind: 'counter',
    help: 'Decisions of the limits.',
    labels: {
      // `client` and `subject`: at the exchange.
      limit: ['address', 'caller', 'route', 'client', 'subject'],
      decision: ['admitted', 'refused', 'would-refuse'],
      store: ['memory', 'redis', 'fallback'],
    },
  },
  sallyport_quarantine_entries: {
    kind: 'gauge',
    help: 'Entries of the quarantine that are in force here.',
    labels: { kind: quarantineKinds },
  },
  sallyport_quarantined_requests_total: {
    kind: 'counter',
    help: 'Requests that the quarantine refused as they arrived; requests and idle connections that it ended.',
    labels: { kind: quarantineKinds, when: ['arriving', 'open'] },
  },
  sallyport_quarantine_propagation_seconds: {
    kind: 'histogram',
    help: 'From an order about the quarantine, wherever it was given, until it was in force here.',
    labels: { heard: ['order', 'push', 'poll'] },
    buckets: propagationSeconds,
  },
  sallyport_quarantine_age_seconds: {
    kind: 'gauge',
    help: 'Since the shared quarantine was last seen: changes made since then are not known here.',
    labels: {},
  },
  sallyport_policy_decisions_total: {
    kind: 'counter',
    help: 'Decisions of the policy.',
    labels: { decision: ['allow', 'deny', 'failed'] },
  },
  sallyport_policy_eval_duration_seconds: {
    kind: 'histogram',
    help: 'Time that one evaluation of the policy took.',
    labels: {},
    buckets: fastSeconds,
  },
  sallyport_upstream_requests_total: {
    kind: 'counter',
    help: 'Requests handed to an upstream, by how they ended.',
    labels: {
      upstream: 'configured',
      result: [
        'ok',
        'unreachable',
        'no-http2',
        'identity-wrong',
        'broken',
        'busy',
        'timeout',
        'caller-gone',
      ],
    },
  },
  sallyport_upstream_endpoints: {
    kind: 'gauge',
    ofWorkers: 'max',
    help: 'Endpoints of an upstream, and addresses of its names, by how they are doing.',
    labels: { upstream: 'configured', state: ['available', 'ejected', 'unhealthy'] },
  },
  sallyport_upstream_ejections_total: {
    kind: 'counter',
    help: 'Times that an endpoint was left out for a while, since it had failed too often.',
    labels: { upstream: 'configured' },
  },
  sallyport_upstream_health_checks_total: {
    kind: 'counter',
    help: 'Health checks of endpoints.',
    labels: { upstream: 'configured', result: ['ok', 'failed'] },
  },
  sallyport_upstream_retries_total: {
    kind: 'counter',
    help: 'Requests of which nothing was sent: those that went to another endpoint, and those for which there was no budget.',
    labels: { upstream: 'configured', result: ['sent', 'no-budget'] },
  },
  sallyport_egress_decisions_total: {
    kind: 'counter',
    help: 'Where workloads wanted to go, by their rule and what it said.',
    labels: { rule: 'configured', decision: ['allowed', 'refused', 'would-refuse'] },
  },
  sallyport_egress_credentials_total: {
    kind: 'counter',
    help: 'Requests that were to get a credential on their way out: from what was there, fetched for them, failed to be had, or stopped since the answer held it.',
    labels: { credential: 'configured', result: ['held', 'fetched', 'failed', 'returned'] },
  },
  sallyport_egress_lookups_total: {
    kind: 'counter',
    help: 'Names of destinations, by how they were resolved.',
    labels: { result: ['known', 'asked', 'none', 'failed', 'timeout'] },
  },
  sallyport_egress_server_names_total: {
    kind: 'counter',
    help: 'What the first bytes of tunnels named, beside the host that was asked for.',
    labels: { result: serverNameVerdicts },
  },
  sallyport_egress_tunnels_total: {
    kind: 'counter',
    help: 'Tunnels that ended, by their rule and why.',
    labels: { rule: 'configured', closed_by: tunnelEnds },
  },
  sallyport_inspection_certificates_total: {
    kind: 'counter',
    help: 'Certificates for hosts that are inspected: found, had from the exchange, or not to be had.',
    labels: { result: ['known', 'issued', 'renewed-ahead', 'kept-while-down', 'failed'] },
  },
  sallyport_egress_bytes_total: {
    kind: 'counter',
    help: 'Bytes that workloads moved, by their rule: to a destination or from it.',
    labels: { rule: 'configured', way: ['out', 'in'] },
  },
  sallyport_audit_events_total: {
    kind: 'counter',
    help: 'Audit records, by what became of them.',
    labels: { result: ['written', 'dropped', 'failed'] },
  },
  sallyport_workers: {
    kind: 'gauge',
    help: 'Processes that serve, where there are several.',
    labels: {},
  },
  sallyport_workers_lost_total: {
    kind: 'counter',
    help: 'Workers that ended by themselves; another is started for each.',
    labels: {},
  },
  sallyport_spans_total: {
    kind: 'counter',
    help: 'Spans that were to be kept, by what became of them.',
    labels: { result: ['exported', 'failed', 'dropped-queue-full', 'dropped-rate'] },
  },
  sallyport_certificate_not_after_timestamp_seconds: {
    kind: 'gauge',
    ofWorkers: 'min',
    help: 'When a certificate ends, in seconds since 1970.',
    labels: { role: ['svid', 'ca', 'ingress'] },
  },
  sallyport_workload_api_connected: {
    kind: 'gauge',
    ofWorkers: 'min',
    help: 'Whether the agent that gives the own identity is there and has answered: 1 or 0.',
    labels: {},
  },
  sallyport_federated_bundle_refreshed_timestamp_seconds: {
    kind: 'gauge',
    ofWorkers: 'min',
    help: 'When the bundle of another trust domain was last confirmed by its endpoint, in seconds since 1970.',
    labels: { trust_domain: 'configured' },
  },
  sallyport_federated_bundle_fetches_total: {
    kind: 'counter',
    help: 'Fetches of bundles of other trust domains; `refused` are those that are not acceptable.',
    labels: { trust_domain: 'configured', result: ['ok', 'failed', 'refused'] },
  },
  sallyport_config_reloads_total: {
    kind: 'counter',
    help: 'Attempts to load another configuration, by how they went.',
    labels: { result: ['ok', 'failed'] },
  },
  sallyport_config_last_reload_ok: {
    kind: 'gauge',
    ofWorkers: 'max',
    help: '1 while the configuration on disk runs, 0 after one that could not be loaded: the one before runs on.',
    labels: {},
  },
  sallyport_config_info: {
    kind: 'gauge',
    ofWorkers: 'max',
    help: '1 for the revision of the configuration that runs, 0 for those before it.',
    labels: { revision: 'configured' },
  },
} as const satisfies Record<string, MetricShape>

export type MetricName = keyof typeof metrics
type NamesOf<Kind> = {
  [Name in MetricName]: (typeof metrics)[Name]['kind'] extends Kind ? Name : never
}[MetricName]
/** Labels of one metric, each with the values that the table allows. */
export type LabelsOf<Name extends MetricName> = {
  readonly [
    Label in keyof (typeof metrics)[Name]['labels']
  ]: (typeof metrics)[Name]['labels'][Label] extends readonly (infer Value)[] ? Value : string
}

/**
 * Where figures go. Each call gives a handle for one set of labels; ask for it once, outside the request, wherever the
 * labels are known beforehand. The same labels give the same handle.
 */
export type Meter = {
  readonly counter: <Name extends NamesOf<'counter'>>(
    name: Name,
    labels: LabelsOf<Name>,
  ) => (by?: number) => void
  readonly gauge: <Name extends NamesOf<'gauge'>>(
    name: Name,
    labels: LabelsOf<Name>,
  ) => (value: number) => void
  readonly histogram: <Name extends NamesOf<'histogram'>>(
    name: Name,
    labels: LabelsOf<Name>,
  ) => (value: number) => void
}

const nothing = () => {}
/** For tests and for commands that serve nobody. */
export const noMeter: Meter = {
  counter: () => nothing,
  gauge: () => nothing,
  histogram: () => nothing,
}

/** For operators: what happened, in words and fields. Never a token or a secret. */
export type Log = {
  readonly info: (fields: object, message: string) => void
  readonly warn: (fields: object, message: string) => void
  readonly error: (fields: object, message: string) => void
}
export const noLog: Log = { info: nothing, warn: nothing, error: nothing }
