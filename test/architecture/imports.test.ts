import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { brokenRules, folderRules, homes } from './import-rules.ts'
import { importsOf, tokensOf } from './source-tokens.ts'

const root = join(import.meta.dirname, '../..')
const folders = Object.keys(folderRules)
const sources = globSync(`{${folders.join(',')}}/**/*.ts`, {
  cwd: root,
  exclude: ['**/node_modules/**'],
})
  .map((file) => file.replaceAll('\\', '/'))
  .sort()
const textOf = (file: string) => readFileSync(join(root, file), 'utf8')
const exists = (file: string) => existsSync(join(root, file))

suite('imports', () => {
  test('keep to the rules', () => {
    for (const folder of [
      'contract',
      'http',
      'identity',
      'plugins',
      'config',
      'gateway',
      'exchange',
      'cli',
      'test',
    ])
      assert.ok(
        sources.filter((file) => file.startsWith(`${folder}/`)).length > 5,
        `no sources in ${folder}: the rule would have checked nothing`,
      )
    const broken = sources.flatMap((file) =>
      brokenRules(file, textOf(file), exists).map((words) => `${file}: ${words}`),
    )
    assert.deepEqual(broken, [])
  })

  test('are all found: none that a plain look at the lines finds is missed', () => {
    let count = 0
    for (const file of sources) {
      const text = textOf(file)
      const found = new Set(importsOf(tokensOf(text)).map(({ specifier }) => specifier))
      // Formatted sources begin a statement at the beginning of a line, and so does no comment.
      const plain = text.matchAll(/^(?:import|export) (?:[^'"`;=]*? from )?'([^'\n]+)'$/gm)
      for (const [, specifier = ''] of plain) {
        count++
        assert.ok(found.has(specifier), `${file}: ${specifier} was overlooked`)
      }
    }
    assert.ok(count > 500, `only ${count} imports found`)
  })

  test('name only packages that package.json has', () => {
    const manifest = JSON.parse(textOf('package.json')) as Record<string, Record<string, string>>
    const known = { ...manifest['dependencies'], ...manifest['devDependencies'] }
    assert.deepEqual(
      Object.keys(homes).filter((name) => known[name] === undefined),
      [],
    )
  })
})

suite('a planted violation is caught', () => {
  const rows: readonly (readonly [file: string, source: string, said: RegExp])[] = [
    ['contract/a.ts', "import { x } from '#http/listen'", /may not be imported here/],
    ['contract/a.ts', "import type { x } from '#http/listen'", /may not be imported here/],
    ['http/a.ts', "import { x } from '#identity/mapping'", /may not be imported here/],
    ['identity/a.ts', "import { x } from '#gateway/runtime'", /may not be imported here/],
    ['identity/a.ts', "import { GatewayConfig } from '#config/schema'", /as a value/],
    ['plugins/waf/a.ts', "import { x } from '#plugins/policy/options'", /may not be imported here/],
    ['plugins/waf/a.ts', "import { x } from '../policy/options.ts'", /leaves plugins.waf/],
    ['plugins/waf/a.ts', "import { x } from '#identity/mapping'", /may not be imported here/],
    ['config/a.ts', "import { x } from '#plugins/policy/bundle'", /may not be imported here/],
    ['config/a.ts', "import { x } from '#identity/mapping'", /may not be imported here/],
    ['gateway/a.ts', "import { x } from '#exchange/main'", /never sees the exchange/],
    ['gateway/main.ts', "import { x } from '#exchange/main'", /never sees the exchange/],
    ['gateway/a.ts', "import type { x } from '../exchange/main.ts'", /leaves gateway/],
    ['gateway/a.ts', "export * from '#exchange/main'", /never sees the exchange/],
    ['gateway/a.ts', "export type { x } from '#exchange/main'", /never sees the exchange/],
    ['gateway/a.ts', "const x = await import('#exchange/main')", /never sees the exchange/],
    ['gateway/a.ts', "type X = typeof import('#exchange/main')", /never sees the exchange/],
    [
      'gateway/a.ts',
      "import {\n  type A, // from 'node:fs'\n  b,\n} from '#exchange/main'",
      /never sees the exchange/,
    ],
    ['gateway/a.ts', "const a = `${`'`}`\nimport '#exchange/main'", /never sees the exchange/],
    [
      'gateway/a.ts',
      "const a = /['\"`]/.test(b)\nimport '#exchange/main'",
      /never sees the exchange/,
    ],
    ['gateway/a.ts', "import { x } from '#plugins/waf/guard'", /may not be imported here/],
    [
      'gateway/ingress/main.ts',
      "import { x } from '#plugins/waf/guard'",
      /may not be imported here/,
    ],
    ['gateway/a.ts', "import { GatewayConfig } from '#config/schema'", /as a value/],
    ['gateway/a.ts', "import { loadConfig } from '#config/load'", /may not be imported here/],
    ['exchange/a.ts', "import { x } from '#gateway/runtime'", /never sees the gateway/],
    ['http/a.ts', "import { x } from '#cli/check'", /nothing imports a command or a test/],
    ['http/a.ts', "import { x } from '#test/tools'", /nothing imports a command or a test/],
    ['cli/sallyport.ts', "import { x } from '#config/load'", /before it is known which command/],
    ['gateway/a.ts', "import { x } from '#gateway/runtime'", /import it relatively/],
    ['gateway/a.ts', "import { x } from '#contract/problem.ts'", /has an ending/],
    ['gateway/a.ts', "import { x } from '#contract/no-such-file'", /leads nowhere/],
    ['gateway/a.ts', "import { x } from './runtime'", /has no \.ts ending/],
    ['gateway/a.ts', "import { x } from './no-such-file.ts'", /leads nowhere/],
    ['gateway/a.ts', "import { Pool } from 'undici'", /away from its home/],
    ['identity/a.ts', "import type { Dispatcher } from 'undici'", /away from its home/],
    ['exchange/token/a.ts', "import forge from 'node-forge'", /away from its home/],
    ['gateway/a.ts', "import fastify from 'fastify'", /away from its home/],
    ['plugins/rate-limit/guard.ts', "import { Redis } from 'ioredis'", /away from its home/],
    [
      'plugins/rate-limit/bucket.ts',
      "import { RateLimiterMemory } from 'rate-limiter-flexible'",
      /away from its home/,
    ],
    ['plugins/waf/a.ts', "import { Counter } from 'prom-client'", /away from its home/],
    [
      'plugins/policy/guard.ts',
      "import opa from '@open-policy-agent/opa-wasm'",
      /away from its home/,
    ],
    ['gateway/a.ts', "import { jwtVerify } from 'jose/jwt/verify'", /away from its home/],
    ['gateway/a.ts', "import x from 'left-pad'", /has no home/],
    [
      'gateway/a.ts',
      'const { env } = process\nconst a = process.env.HOME',
      /reads the environment/,
    ],
    ['gateway/a.ts', 'const a = Date.now()', /take a Clock/],
    ['identity/a.ts', 'const a = new Date()', /take a Clock/],
    ['gateway/a.ts', 'const a = Math.random()', /take RandomBytes/],
    ['http/a.ts', 'upload.detach = () => {}', /name it first/],
    ['http/a.ts', 'this.end ??= async function () {}', /name it first/],
    ['exchange/a.ts', 'one.show = (a, b) => a + b', /name it first/],
    ['gateway/a.ts', 'export default {}', /a name is the same/],
  ]
  for (const [file, source, said] of rows)
    test(`${file}: ${source.split('\n').at(-1)}`, () => {
      const broken = brokenRules(file, source, exists)
      assert.ok(
        broken.some((words) => said.test(words)),
        JSON.stringify(broken),
      )
    })
})

suite('what is no violation is none', () => {
  const rows: readonly (readonly [file: string, source: string])[] = [
    ['gateway/a.ts', "// import { x } from '#exchange/main'"],
    ['gateway/a.ts', "/*\nimport { x } from '#exchange/main'\n*/"],
    ['gateway/a.ts', 'const a = "import { x } from \'#exchange/main\'"'],
    ['gateway/a.ts', "const a = `\nimport { x } from '#exchange/main'\n`"],
    ['gateway/a.ts', "const a = /import '#exchange\\/main'/"],
    ['gateway/a.ts', "import type { Route } from '#config/schema'"],
    ['gateway/a.ts', "import type { FastifyInstance } from 'fastify'"],
    ['gateway/main.ts', "import { waf } from '#plugins/waf/guard'"],
    ['config/schema/a.ts', "import { WafOptions } from '#plugins/waf/options'"],
    ['gateway/a.ts', 'const a = new Date(nowMs).toISOString()'],
    ['gateway/a.ts', 'export const from = 1, b = 2 / 3 / 4'],
    ['gateway/a.ts', 'const end = () => {}\na.end = end\na.is = b === (c) ? d : e'],
    ['cli/a.ts', "const x = await import('#exchange/main')"],
  ]
  for (const [file, source] of rows)
    test(`${file}: ${source.split('\n').at(-1)}`, () =>
      assert.deepEqual(brokenRules(file, source, exists), []))
})
