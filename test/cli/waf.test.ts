import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test, type TestContext } from 'node:test'
import { parse } from 'yaml'
import { run } from '#cli/waf'
import { loadConfig } from '#config/load'
import { waf } from '#plugins/waf/guard'
import type { WafExclusion } from '#plugins/waf/options'
import { loadRuleSet } from '#plugins/waf/rule-set'
import { crsFolder, needsCrs } from '#test/conformance/crs/crs-folder'
import { inspectionInput, wafOptions } from '#test/plugins/waf/support'
import { gateway, workspace } from '../config/workspace.ts'
import { commandHere } from './command-here.ts'

const root = join(import.meta.dirname, '../..')
const crs = crsFolder()
const withCrs = needsCrs()

/** As an operator types it. */
const typed = (args: readonly string[], cwd = root) =>
  spawnSync(process.execPath, [join(root, 'cli/sallyport.ts'), 'waf', ...args], {
    cwd,
    encoding: 'utf8',
    timeout: 60_000,
  })

const sallyportWaf = (args: readonly string[], cwd = root) => commandHere(run, args, cwd)

const emptyFolder = (t: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-waf-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

suite('sallyport waf check', () => {
  test('says what a folder holds, named from where one stands', withCrs, async () => {
    const { status, stdout } = await sallyportWaf(['check', 'rules/..', '--json'], crs)
    assert.equal(status, 0)
    const report = JSON.parse(stdout) as {
      signatures: string[]
      ruleCount: number
      notes: unknown[]
    }
    assert.deepEqual(report.signatures, ['OWASP_CRS/4.25.0'])
    assert.ok(report.ruleCount > 600)
  })

  test('names a folder that holds no rules, and fails', (t) => {
    const folder = emptyFolder(t)
    const { status, stderr } = typed(['check', folder])
    assert.equal(status, 1)
    assert.equal(stderr, `there is no Core Rule Set in ${folder}\n`)
  })

  test('names file and line of a fault', async (t) => {
    const folder = emptyFolder(t)
    mkdirSync(join(folder, 'rules'))
    mkdirSync(join(folder, 'plugins'))
    writeFileSync(join(folder, 'crs-setup.conf'), '')
    writeFileSync(join(folder, 'rules/REQUEST-901-INITIALIZATION.conf'), '')
    writeFileSync(join(folder, 'plugins/own-before.conf'), '\nSecRule ARGS "@nonsense x" "id:1"\n')
    const { status, stderr } = await sallyportWaf(['check', folder])
    assert.equal(status, 1)
    assert.match(stderr, /own-before\.conf:2: .*nonsense/)
  })
})

suite('waf.crs in a configuration', () => {
  test('is a folder beside the file that names it, wherever the process was started', async (t) => {
    const { at } = workspace(t, {
      'gateway.yaml': gateway('waf: { crs: rules/crs, ruleFiles: [own/*.conf] }\n'),
    })
    const loaded = await loadConfig('gateway', at('gateway.yaml'), {})
    assert.ok(loaded.ok, JSON.stringify(loaded))
    assert.equal(loaded.config.waf.crs, at('rules/crs'))
    assert.deepEqual(loaded.config.waf.ruleFiles, [at('own/*.conf')])
  })
})

suite('sallyport waf explain', () => {
  const harmless = [
    'POST /articles HTTP/1.1',
    'Host: blog.example',
    'User-Agent: Mozilla/5.0',
    'Accept: */*',
    'Content-Type: application/x-www-form-urlencoded',
    '',
    'title=Quoting&body=how+to+write+<script>alert(1)</script>+in+a+page',
    '',
  ].join('\n')
  const asInput = (): Parameters<typeof inspectionInput> => {
    const [, body = ''] = harmless.trimEnd().split('\n\n')
    const type = ['content-type', 'application/x-www-form-urlencoded']
    const headers = ['user-agent', 'Mozilla/5.0', 'accept', '*/*', ...type]
    const length = ['content-length', `${body.length}`]
    return [
      { method: 'POST', path: '/articles', headers: [...headers, ...length] },
      { bytes: Buffer.from(body), whole: true },
    ]
  }

  test('suggests lines that, put into the configuration, admit what was refused wrongly', (t) => {
    return endToEnd(t, undefined)
  })
  test('does so with CRS', withCrs, (t) => endToEnd(t, crs))

  const endToEnd = async (t: TestContext, folder: string | undefined) => {
    const file = join(emptyFolder(t), 'request.http')
    writeFileSync(file, harmless)
    const args = ['explain', ...(folder === undefined ? [] : ['--crs', folder]), file]
    const { status, stdout } = await sallyportWaf(args)
    assert.equal(status, 1, stdout)
    assert.match(stdout, /Refused in phase 2 by rule \d+/)
    const suggested = (heading: RegExp) => {
      const [, lines = ''] = new RegExp(`${heading.source}:\\n((?:  - .*\\n)+)`).exec(stdout) ?? []
      const exclusions = (parse(lines) ?? []) as WafExclusion[]
      assert.ok(
        exclusions.length > 0 && exclusions.every(({ target }) => target === 'ARGS:body'),
        stdout,
      )
      return exclusions
    }
    const each = suggested(/or of all/)
    const choices = each.length > 1 ? [each, suggested(/this kind of attack/)] : [each]
    assert.equal(choices.at(-1)?.length, 1, 'it takes one line')

    const options = wafOptions(folder === undefined ? {} : { crs: folder })
    const ruleSet = loadRuleSet(options)
    const verdict = async (route: { exclusions?: WafExclusion[] }) => {
      const result = await waf({ ruleSet, options, route, clock: () => 0 })(
        inspectionInput(...asInput()),
      )
      return result.ok ? 'admitted' : result.problem.tag
    }
    assert.equal(await verdict({}), 'attack-suspected')
    for (const exclusions of choices) assert.equal(await verdict({ exclusions }), 'admitted')
  }
})
