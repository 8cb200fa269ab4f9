import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findCrs } from '#plugins/waf/find-crs'
import { recommendedFile } from '#plugins/waf/rule-set'
import { findTool } from '#test/tools'
import type { Contender } from './contender.ts'
import { freePorts, listening, measuredCore, startOn } from './processes.ts'

export const wafKinds = ['sallyport', 'nginx + ModSecurity', 'Coraza'] as const
export type WafKind = (typeof wafKinds)[number]

type Parts = { readonly folder: string; readonly crs: string; readonly guarded: boolean }

/** Starts a server that answers "ok", behind its firewall or without. Undefined if it is not on this machine. */
export const startWaf = async (kind: WafKind, parts: Parts): Promise<Contender | undefined> => {
  const [port = 0, behind = 0] = await freePorts(2)
  const command = commandOf(kind, { ...parts, port, behind })
  if (!command) return undefined
  const name = `${kind}${parts.guarded ? '' : ', no WAF'}`
  const output = join(parts.folder, `${name}.out`)
  writeFileSync(output, '')
  const running = startOn(measuredCore, command, { output, folder: parts.folder })
  await listening(port, running, output, { withinMs: 120_000 })
  return { name, url: `http://127.0.0.1:${port}`, running, records: output }
}

type Placed = Parts & { readonly port: number; readonly behind: number }

const commandOf = (kind: WafKind, parts: Placed): readonly string[] | undefined => {
  switch (kind) {
    case 'sallyport':
      return [
        process.execPath,
        fileURLToPath(new URL('./waf-server.ts', import.meta.url)),
        String(parts.port),
        ...(parts.guarded ? [parts.crs] : []),
      ]
    case 'nginx + ModSecurity':
      return nginxCommand(parts)
    case 'Coraza':
      return corazaCommand(parts)
    default:
      return kind satisfies never
  }
}

/** Built from `coraza/main.go`; as many threads as it has cores, which is one. */
const corazaCommand = ({ port, guarded }: Placed): readonly string[] | undefined => {
  const program = findTool('corazaproxy')
  if (program === undefined) return undefined
  const listen = ['-listen', `127.0.0.1:${port}`]
  return ['env', 'GOMAXPROCS=1', program, ...listen, ...(guarded ? [] : ['-off'])]
}

const connector = '/usr/lib/nginx/modules/ngx_http_modsecurity_module.so'

/** One process, which also is what it proxies to: `return` would answer before a body is looked at. */
const nginxCommand = ({
  folder,
  crs,
  guarded,
  port,
  behind,
}: Placed): readonly string[] | undefined => {
  const program = findTool('nginx')
  if (program === undefined || !existsSync(connector)) return undefined
  const home = join(folder, `nginx-${port}`)
  mkdirSync(home)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const config = `
daemon off; master_process off; pid ${home}/pid; error_log ${home}/error.log crit;
load_module ${connector};
events { worker_connections 512; }
http {
  access_log off; keepalive_requests 1000000; client_body_buffer_size 64k;
  ${temporary.map((name) => `${name}_temp_path ${home}/${name};`).join(' ')}
  upstream own { server 127.0.0.1:${behind}; keepalive 16; keepalive_requests 1000000; }
  server { listen 127.0.0.1:${behind}; default_type text/plain; location / { return 200 "ok"; } }
  server {
    listen 127.0.0.1:${port};
    ${guarded ? `modsecurity on; modsecurity_rules_file ${rulesForModSecurity(crs, home)};` : ''}
    location / { proxy_pass http://own; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}
`
  writeFileSync(join(home, 'nginx.conf'), config)
  return [program, '-c', join(home, 'nginx.conf')]
}

/**
 * A copy that libmodsecurity can read: it takes no `@` in names, and wants an empty line after a rule without actions,
 * which the Go module has stripped.
 */
const rulesForModSecurity = (crs: string, home: string): string => {
  const { setup, rules } = findCrs(crs)
  const copied = [recommendedFile, ...setup, ...rules].map((from, i) => {
    const to = join(home, `${String(i).padStart(3, '0')}.conf`)
    const text = readFileSync(from, 'latin1')
    const fixed = text.replace(/^( *SecRule TX:EARLY_BLOCKING "@eq 1")$/gm, '$1\n')
    writeFileSync(to, fixed, 'latin1')
    return to
  })
  const data = dirname(rules[0] ?? crs)
  for (const name of readdirSync(data).filter((each) => each.endsWith('.data')))
    copyFileSync(join(data, name), join(home, name))
  const [recommended = '', ...others] = copied
  const main = join(home, 'main.conf')
  const settings = 'SecRuleEngine On\nSecAuditEngine Off\nSecResponseBodyAccess On\n'
  const include = (file: string) => `Include ${file}\n`
  writeFileSync(main, include(recommended) + settings + others.map(include).join(''))
  return main
}
