/**
 * Headers that say who a caller is or where a request came from. Sent by a caller they are lies, so the gate removes them
 * from every request, whatever the route; what of them is true is set again by us. A configuration may add to the list,
 * never take away.
 *
 * Compared after folding case and mapping `_` and `.` to `-`: to a CGI-like service `X_Forwarded_User` is
 * `X-Forwarded-User` (Traefik CVE-2026-54763, oauth2-proxy CVE-2025-64484).
 */
export const reservedPrefixes = [
  'x-sallyport-', // our own
  'x-forwarded-', // also X-Forwarded-Client-Cert, by which Envoy tells of a certificate
  'x-envoy-',
  'x-spiffe-',
  'x-authenticated-',
  'x-auth-request-', // oauth2-proxy
  'x-remote-',
  'x-ssl-client-',
  'ssl-client-',
  'x-amzn-oidc-',
  'x-amzn-mtls-',
  'x-goog-authenticated-user-',
  'x-goog-iap-',
  'x-ms-client-principal',
  'l5d-', // Linkerd
] as const

export const reservedNames = [
  'forwarded',
  'via', // we append to it, so it is set again
  'x-real-ip',
  'x-client-ip',
  'client-ip',
  'true-client-ip',
  'x-cluster-client-ip',
  'x-original-forwarded-for',
  'x-original-host',
  'x-original-url',
  'x-rewrite-url',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'client-cert', // RFC 9440
  'client-cert-chain',
  'x-client-cert',
  'remote-user',
  'txn-token',
  'workload-identity-token',
  'proxy', // would become HTTP_PROXY in a CGI-like service, CVE-2016-5385
] as const

/** Meant for the next hop alone (RFC 9110 §7.6.1, RFC 7540 §3.2.1), or between a caller and us (`expect`). */
export const hopByHopNames = [
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'expect',
] as const

/**
 * May come once. Of two, one program would believe the first and another the second (Envoy CVE-2026-26308,
 * CVE-2024-45806).
 */
export const singleNames = [
  'host',
  'authorization',
  'proxy-authorization',
  'content-type',
  'content-length',
  'content-encoding',
  'transfer-encoding',
  'cookie',
  'expect',
  'upgrade',
  'origin',
  'dpop',
  'sec-websocket-key',
  'sec-websocket-version',
] as const
