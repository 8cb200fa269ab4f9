/**
 * The smallest server that asks our firewall: `node:http`, the guard, "ok". Without a folder of rules it answers alike
 * without asking, so that the difference is what the firewall costs.
 *
 * Run: node node.js bench/rig/waf-server.ts PORT [CRS-FOLDER]
 */
import { createServer, type IncomingMessage } from 'node:http'
import { Value } from 'typebox/value'
import type { Inspect, InspectionInput } from '#contract/inspection'
import { pass } from '#contract/problem'
import { waf } from '#plugins/waf/guard'
import { WafOptions } from '#plugins/waf/options'
import { loadRuleSet } from '#plugins/waf/rule-set'

const [, , port, folder] = process.argv

const open = (crs: string): Inspect => {
  const options = Value.Default(WafOptions, { crs, responses: true, limits: {} }) as WafOptions
  return waf({ ruleSet: loadRuleSet(options), options, clock: Date.now })
}
const inspect = folder === undefined ? undefined : open(folder)

let count = 0
const inputOf = (req: IncomingMessage, body: Buffer): InspectionInput => {
  const target = req.url ?? '/'
  const at = target.indexOf('?')
  return {
    head: {
      method: req.method ?? '',
      host: req.headers.host ?? '',
      port: undefined,
      path: at < 0 ? target : target.slice(0, at),
      query: at < 0 ? '' : target.slice(at),
      headers: req.rawHeaders.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text)),
    },
    address: req.socket.remoteAddress ?? '',
    decisionId: `decision-${count++}`,
    protocol: 'HTTP/1.1',
    hasBody: body.length > 0,
    peek: () => pass({ bytes: body, whole: true }),
  }
}

const answerHeaders = ['content-type', 'text/plain']
const answerBody = Buffer.from('ok\n')

const isAdmitted = async (input: InspectionInput): Promise<boolean> => {
  if (!inspect) return true
  const seen = await inspect(input)
  if (!seen.ok) return false
  const head = await seen.value.head(200, answerHeaders)
  return head.ok && (await seen.value.body(answerBody, true)).ok
}

createServer((req, res) => {
  const chunks: Buffer[] = []
  req.on('data', (chunk: Buffer) => chunks.push(chunk))
  req.on('end', () => {
    void isAdmitted(inputOf(req, Buffer.concat(chunks))).then((admitted) => {
      res.writeHead(admitted ? 200 : 403, answerHeaders)
      res.end(answerBody)
    })
  })
}).listen(Number(port), '127.0.0.1')
