import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { Ajv } from 'ajv'
import { parse } from 'yaml'
import { outOfStep } from '#cli/docs'
import { generatedFiles } from '#cli/docs/generated'
import { ExchangeConfig, GatewayConfig } from '#config/schema'
import { problems } from '#contract/problem'
import { metrics } from '#contract/telemetry'

const reference = join(import.meta.dirname, '../../docs/reference')
const read = (name: string) => readFileSync(join(reference, name), 'utf8')

suite('docs/reference', () => {
  test('is what the sources give: run `npm run docs`', async () => {
    const files = generatedFiles()
    assert.ok(files.size >= 7)
    assert.deepEqual(await outOfStep(files), [])
  })

  test('is found out of step when a file differs, is missing or comes from nothing', async () => {
    const files = new Map(generatedFiles())
    files.set('problems.md', `${files.get('problems.md')} `)
    files.delete('metrics.md')
    files.set('new.md', 'new')
    assert.deepEqual(
      (await outOfStep(files)).map((trouble) => trouble.replace(/: run .*/, '')),
      [
        'problems.md: is out of date',
        'new.md: is missing',
        'metrics.md: is generated from nothing: take it out',
      ],
    )
  })

  test('names every problem and every metric, and no other', () => {
    const tags = [...read('problems.md').matchAll(/^\| `([a-z0-9-]+)` \| \d+ \|/gm)].map(
      ([, tag]) => tag ?? '',
    )
    assert.deepEqual(new Set(tags), new Set(Object.keys(problems)))
    const names = [...read('metrics.md').matchAll(/^## `(\w+)`$/gm)].map(([, name]) => name ?? '')
    assert.deepEqual(new Set(names), new Set(Object.keys(metrics)))
  })

  test('has no link that leads nowhere', () => {
    const files = readdirSync(reference).filter((name) => name.endsWith('.md'))
    let links = 0
    for (const file of files) {
      const text = read(file)
      const anchors = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
        heading
          .toLowerCase()
          .replaceAll(/[^a-z0-9 _-]/g, '')
          .replaceAll(' ', '-'),
      )
      assert.equal(new Set(anchors).size, anchors.length, `${file} has two headings of one name`)
      for (const [, target = ''] of text.matchAll(/\]\(([^)]+)\)/g)) {
        links++
        if (target.startsWith('#'))
          assert.ok(anchors.includes(target.slice(1)), `${file}: ${target}`)
        else assert.ok(read(target).length > 0, `${file}: ${target}`)
      }
    }
    assert.ok(links > 30)
  })
})

suite('every setting', () => {
  type Schema = {
    readonly description?: string
    readonly properties?: Readonly<Record<string, Schema>>
    readonly patternProperties?: Readonly<Record<string, Schema>>
    readonly items?: Schema
    readonly anyOf?: readonly Schema[]
  }
  const settings = (schema: Schema, path: string): [string, Schema][] => [
    ...Object.entries(schema.properties ?? {}).flatMap(([key, below]): [string, Schema][] => [
      [`${path}.${key}`, below],
      ...settings(below, `${path}.${key}`),
    ]),
    ...Object.values(schema.patternProperties ?? {}).flatMap((below) =>
      settings(below, `${path}.*`),
    ),
    ...(schema.items ? settings(schema.items, `${path}[]`) : []),
    ...(schema.anyOf ?? []).flatMap((below) => settings(below, path)),
  ]

  test('says what it is for', () => {
    const all = [
      ...settings(GatewayConfig as unknown as Schema, 'gateway'),
      ...settings(ExchangeConfig as unknown as Schema, 'exchange'),
    ]
    assert.ok(all.length > 100)
    assert.deepEqual(
      all.filter(([, { description = '' }]) => description === '').map(([path]) => path),
      [],
    )
  })
})

suite('the published JSON Schemas', () => {
  for (const kind of ['gateway', 'exchange'])
    test(`take the example of a ${kind}, and refuse one with an unknown key`, () => {
      const schema = JSON.parse(read(`config.${kind}.schema.json`)) as object
      const ajv = new Ajv({ strict: false, validateFormats: false })
      const check = ajv.compile(schema)
      const example = join(reference, `../../config/${kind}.example.yaml`)
      const config = parse(readFileSync(example, 'utf8')) as object
      assert.ok(check(config), JSON.stringify(check.errors))
      assert.ok(!check({ ...config, lisseners: {} }))
      // Without `include` everything has to stand in the one file.
      const { include: _, ...alone } = config as { include?: unknown }
      assert.ok(!check(alone))
    })
})
