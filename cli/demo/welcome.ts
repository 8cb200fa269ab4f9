import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ids } from './configs.ts'
import type { DemoMesh } from './mesh.ts'
import { bold, columns, cyan, dim } from '../screen.ts'

/** The screen of the running demo: what runs where, and what to try. */
export const welcome = async ({ files, ports, issuer }: DemoMesh): Promise<string> => {
  // In a file and not on the screen, so that the commands stay short enough to be read.
  const token = join(files.folder, 'alice.jwt')
  writeFileSync(token, await issuer.tokenFor('alice'), { mode: 0o600 })
  const orders = `https://localhost:${ports.ingress}/orders/7`
  const curl = `curl -s --cacert ${files.outsideRoot}`
  const withToken = `-H "Authorization: Bearer $(cat ${token})"`
  const tries: readonly (readonly [string, string])[] = [
    ['A user reaches a service, which says whom it saw', `${curl} ${withToken} ${orders}`],
    ['Without a token it is refused, and told why', `${curl} -i ${orders}`],
    [
      'Why? Every step of the way, explained',
      `npm run --silent sallyport -- explain --config ${files.gateway} --token-file ${token} https://localhost/billing/1`,
    ],
    [
      'What it counts',
      `curl -s http://127.0.0.1:${ports.admin}/metrics | grep ^sallyport_requests`,
    ],
    [
      'A service goes out through the proxy, where a rule lets it',
      `HTTPS_PROXY=https://localhost:${ports.egress} ${curl} --proxy-cacert ${files.outsideRoot} --proxy-cert ${files.ordersSvid} --proxy-key ${files.ordersKey} ${issuer.url}/.well-known/openid-configuration`,
    ],
    ['What it recorded', `tail -n 1 ${files.gatewayAudit}`],
  ]
  return `
${bold('Sallyport runs.')} Alice's outside token becomes a mesh identity, over mTLS, to a service that checks it.

${columns([
  ['gateway', `https://localhost:${ports.ingress}     ${dim(ids.gateway)}`],
  ['exchange', `https://localhost:${ports.exchange}     ${dim(ids.exchange)}`],
  [
    'admin',
    `http://127.0.0.1:${ports.admin}      ${dim('/readyz /metrics /status /exchange/status')}`,
  ],
  ['issuer', `${issuer.url}     ${dim('a real OpenID provider')}`],
  [
    'services',
    `orders :${ports.orders}, billing :${ports.billing}     ${dim('behind mTLS, reached through the gateway only')}`,
  ],
  ['files', `${files.folder}     ${dim('configurations, records, logs')}`],
])}

${bold('Try:')}

${tries.map(([what, command]) => `  ${what}\n  ${cyan(command)}`).join('\n\n')}

  Her token lives ten minutes. ${dim('A fresh one:')}
  ${cyan(`${issuer.howToGetOne('alice')} > ${token}`)}

Ctrl-C ends it all.`
}
