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

/** nginx as a proxy, which closes its connection every 200 requests, as it does in the field every 1000. */
export const startNginx = (command: string) => async (): Promise<RealPeer> => {
  const folder = mkdtempSync(join(tmpdir(), 'h2-nginx-'))
  const service = await startService()
  const port = await freePort()
  const path = join(folder, 'nginx.conf')
  writeFileSync(
    path,
    `daemon off; master_process off; pid ${folder}/pid; error_log stderr crit;
events { worker_connections 2048; }
http {
  access_log off; keepalive_requests 200; lingering_close off;
  client_body_temp_path ${folder}/a; proxy_temp_path ${folder}/b; fastcgi_temp_path ${folder}/c;
  uwsgi_temp_path ${folder}/d; scgi_temp_path ${folder}/e;
  server {
    listen 127.0.0.1:${port} ssl http2;
    ssl_certificate ${tlsPath('server.pem')}; ssl_certificate_key ${tlsPath('server.key.pem')};
    ssl_client_certificate ${tlsPath('ca.pem')}; ssl_verify_client on; ssl_protocols TLSv1.2 TLSv1.3;
    client_max_body_size 100m;
    location / { proxy_pass http://127.0.0.1:${service.port}; proxy_http_version 1.1; proxy_request_buffering off; }
  }
}
`,
  )
  const child = await startProgram(command, ['-c', path, '-p', folder], port)
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
