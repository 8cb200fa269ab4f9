import type { Problem, ProblemTag } from '#contract/problem'

/** What RFC 9209 §2.3 calls it. */
const proxyErrors: Partial<Record<ProblemTag, string>> = {
  'destination-denied': 'http_request_denied',
  'address-denied': 'destination_ip_prohibited',
  'workload-unidentified': 'http_request_denied',
  quarantined: 'http_request_denied',
  'destination-unresolved': 'dns_error',
  'destination-unreachable': 'destination_unavailable',
  'destination-untrusted': 'tls_certificate_error',
  'destination-broken': 'http_response_incomplete',
  'inspection-unavailable': 'proxy_internal_error',
  'destination-timeout': 'connection_timeout',
  'credential-unavailable': 'proxy_internal_error',
  'credential-withheld': 'proxy_internal_error',
  'credential-returned': 'http_response_incomplete',
  'tunnels-exceeded': 'connection_limit_reached',
}

/**
 * A refusal as it goes out to a workload: with its tag in `X-Sallyport-Error`, which no destination can set, so that a
 * program can tell a refusal of the proxy from one of the destination.
 */
export const toWorkload = (problem: Problem): Problem => {
  const error = proxyErrors[problem.tag]
  return {
    ...problem,
    headers: {
      ...problem.headers,
      'X-Sallyport-Error': problem.tag,
      ...(error === undefined || problem.headers?.['Proxy-Status'] !== undefined
        ? {}
        : { 'Proxy-Status': `sallyport; error=${error}` }),
    },
  }
}
