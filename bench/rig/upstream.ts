import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Certificates } from './mesh.ts'
import { freePorts, listening, otherCore, startOn, type Running } from './processes.ts'

/** KiB of bodies that it has, at `/orders/bodies/KIB`. */
export const bodySizes = [1, 100] as const

/** A service behind its sidecar: it demands a certificate of the mesh. nginx, for one process of Node would be too slow. */
export type Upstream = {
  readonly http1Port: number
  readonly h2Port: number
  readonly running: Running
}

export const startUpstream = async (
  folder: string,
  { meshRoots, upstream }: Certificates,
): Promise<Upstream> => {
  const [http1Port = 0, h2Port = 0] = await freePorts(2)
  const file = join(folder, 'upstream.nginx.conf')
  const bodies = join(folder, 'bodies')
  mkdirSync(bodies)
  for (const kib of bodySizes) writeFileSync(join(bodies, String(kib)), 'x'.repeat(kib * 1024))
  const output = join(folder, 'upstream.log')
  writeFileSync(
    file,
    `daemon off; master_process off; worker_processes 1; pid ${folder}/nginx.pid; error_log stderr warn;
events { worker_connections 4096; }
http {
  access_log off; default_type application/json;
  keepalive_requests 1000000000; keepalive_timeout 300s; client_max_body_size 10m;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  upstream files { server unix:${folder}/files.sock; keepalive 64; }
  server { listen unix:${folder}/files.sock; location / { root ${bodies}; } }
  server {
    listen 127.0.0.1:${http1Port} ssl;
    listen 127.0.0.1:${h2Port} ssl http2;
    http2_max_concurrent_streams 256;
    ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets off; ssl_session_cache off;
    ssl_certificate ${upstream.certificate}; ssl_certificate_key ${upstream.key};
    ssl_client_certificate ${meshRoots}; ssl_verify_client on; ssl_verify_depth 3;
    # Bodies each way: what is sent is read to its end, and only then a file of that size comes back. Were it answered
    # at once, as a file that is posted to would be, each proxy would deal in its own way with a body that nobody wants.
    location /orders/bodies/ {
      client_body_buffer_size 128k; proxy_request_buffering on; proxy_buffers 8 32k;
      proxy_method GET; proxy_pass_request_body off; proxy_set_header Content-Length ""; proxy_set_header Connection "";
      proxy_http_version 1.1; proxy_pass http://files/;
    }
    location / { return 200 '{"id":1,"status":"ok","items":[1,2,3,4,5,6,7,8,9],"note":"orders behind its sidecar"}'; }
  }
}
`,
  )
  const running = startOn(otherCore, ['nginx', '-e', 'stderr', '-p', folder, '-c', file], {
    output,
    folder,
  })
  await listening(http1Port, running, output)
  return { http1Port, h2Port, running }
}
