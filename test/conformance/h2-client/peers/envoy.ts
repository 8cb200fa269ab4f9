import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  freePort,
  type RealPeer,
  startProgram,
  startService,
  stopProgram,
  tlsPath,
} from './real-peer.ts'

/** Envoy as a sidecar: mTLS and h2 towards us, HTTP/1.1 to its service. */
export const startEnvoy = (command: string) => async (): Promise<RealPeer> => {
  const folder = mkdtempSync(join(tmpdir(), 'h2-envoy-'))
  const service = await startService()
  const port = await freePort()
  const path = join(folder, 'envoy.yaml')
  const type = 'type.googleapis.com/envoy.extensions'
  const file = (name: string) => JSON.stringify({ filename: tlsPath(name) })
  writeFileSync(
    path,
    `
static_resources:
  listeners:
  - name: in
    address: { socket_address: { address: 127.0.0.1, port_value: ${port} } }
    filter_chains:
    - transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": ${type}.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: true
          common_tls_context:
            alpn_protocols: [h2]
            tls_certificates: [ { certificate_chain: ${file('server.pem')}, private_key: ${file('server.key.pem')} } ]
            validation_context: { trusted_ca: ${file('ca.pem')} }
      filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": ${type}.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          http2_protocol_options: { max_concurrent_streams: 100 }
          route_config:
            virtual_hosts:
            - { name: all, domains: ["*"], routes: [ { match: { prefix: "/" }, route: { cluster: up } } ] }
          http_filters:
          - name: envoy.filters.http.router
            typed_config: { "@type": ${type}.filters.http.router.v3.Router }
  clusters:
  - name: up
    load_assignment:
      cluster_name: up
      endpoints: [ { lb_endpoints: [ { endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${service.port} } } } } ] } ]
`,
  )
  const args = ['-c', path, '--concurrency', '1', '--use-dynamic-base-id', '--log-level', 'error']
  const child = await startProgram(command, args, port)
  return {
    port,
    stop: async () => {
      await stopProgram(child)
      service.server.closeAllConnections()
      service.server.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
