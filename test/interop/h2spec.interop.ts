/**
 * All cases of h2spec (RFC 7540, RFC 7541), the strict ones too, against the ingress listener. What does not pass stands in
 * the list beside this file with its reason, and nothing stands there that passes. A bare server of Node fails all of them.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { findTool, without } from '#test/tools'
import { askH2, h2Client } from '#test/http/h2-server/h2-edge'
import { meshRig, openRoute } from '#test/ways/rig'

const h2spec = findTool('h2spec')
const exceptions = JSON.parse(
  readFileSync(new URL('./h2spec.exceptions.json', import.meta.url), 'utf8'),
) as Record<string, string>
const cases = 146

/** Its report names a section in `package`, and a case by its sentence in `classname`. */
const casesIn = (report: string) =>
  [
    ...report.matchAll(
      /<testcase package="([^"]*)" classname="([^"]*)"[^>]*?(?:\/>|>(.*?)<\/testcase>)/gs,
    ),
  ].map(([, section = '', sentence = '', inner = '']) => ({
    name: `${section}: ${unescaped(sentence)}`,
    isPassed: !/<(?:failure|error|skipped)/.test(inner),
  }))

const unescaped = (text: string): string =>
  text
    .replaceAll(/&#(\d+);/g, (_all, code: string) => String.fromCharCode(Number(code)))
    .replaceAll('&quot;', '"')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')

/** It ends with 1 where a case fails, which its report says better. */
const runH2spec = (port: number, reportFile: string): Promise<string> =>
  new Promise((resolve) => {
    const asked = ['--strict', '-t', '-k', '-h', '127.0.0.1', '-p', String(port), '-o', '5']
    execFile(
      h2spec ?? '',
      [...asked, '-j', reportFile],
      { maxBuffer: 10_000_000 },
      (_error, stdout) => resolve(stdout),
    )
  })

test('every case of h2spec passes, less those of the list', without({ h2spec }), async () => {
  const rig = await meshRig()
  after(rig.close)
  const service = await rig.service((req, res) => {
    // Not at once: some cases are about a stream whose answer is still to come.
    req.resume().on('end', () => setTimeout(() => res.end('a body'), 200))
  })
  const gateway = await rig.gateway('gateway', {
    upstreams: { service: { endpoints: [service.url], spiffeId: 'spiffe://mesh.test/service' } },
    routes: [{ ...openRoute('all', '/'), match: { hosts: ['127.0.0.1'], path: { prefix: '/' } } }],
  })
  const reportFile = rig.at('h2spec.xml')
  const printed = await runH2spec(gateway.port, reportFile)
  const found = casesIn(readFileSync(reportFile, 'utf8'))
  console.log(`  ${printed.trim().split('\n').at(-1)}`)

  assert.equal(found.length, cases, printed)
  const failed = found.filter(({ isPassed }) => !isPassed).map(({ name }) => name)
  assert.deepEqual(failed.toSorted(), Object.keys(exceptions).toSorted(), printed)

  // And after all that it serves as ever.
  const session = h2Client(gateway.port, gateway.ca)
  const answer = await askH2(session, { ':path': '/', ':authority': '127.0.0.1' })
  assert.deepEqual([answer.status, answer.text], [200, 'a body'])
  session.close()
})
