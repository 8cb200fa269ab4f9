import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { loadConfig } from '#config/load'
import { gateway, shared, workspace } from './workspace.ts'

const own = gateway().slice(shared.length)

test('what is shared stands in a file of its own', async (t) => {
  const { at } = workspace(t, {
    'gateway.yaml': `include: [common/shared.yaml]\n${own}`,
    'common/shared.yaml': `${shared}include: [deeper/unsafe.yaml]\n`.replace(
      'audiences: [api]',
      'audiences: [api]\n    jwksFile: keys.json',
    ),
    'common/deeper/unsafe.yaml': 'drainSeconds: 7\n',
    'common/keys.json': '{}',
  })
  const loaded = await loadConfig('gateway', at('gateway.yaml'), {})
  assert.ok(loaded.ok, JSON.stringify(loaded))
  assert.equal(loaded.config.drainSeconds, 7)
  // Relative to the file that names it.
  assert.equal(loaded.config.issuers['main']?.jwksFile, at('common/keys.json'))
  assert.equal(loaded.config.policy.bundleFile, at('bundle.tar.gz'))
  for (const file of ['gateway.yaml', 'common/shared.yaml', 'common/deeper/unsafe.yaml'])
    assert.ok(loaded.files.includes(at(file)), `${file} is not watched`)
})

suite('including goes wrong', () => {
  const rows: readonly (readonly [
    name: string,
    include: string,
    files: Readonly<Record<string, string>>,
    ...faults: string[],
  ])[] = [
    [
      'a key that stands in two files',
      '[shared.yaml]',
      { 'shared.yaml': `${shared}drainSeconds: 5\n` },
      'shared.yaml:11:15: `drainSeconds` also stands in gateway.yaml:2 — keep one of the two',
    ],
    [
      'a version of another format',
      '[shared.yaml]',
      { 'shared.yaml': shared.replace('version: 1', 'version: 2') },
      'shared.yaml:1:10: `version` also stands in gateway.yaml:3 — keep one of the two',
    ],
    [
      'a file that includes itself',
      '[shared.yaml]',
      {
        'shared.yaml': `${shared}include: [a/b.yaml]\n`,
        'a/b.yaml': 'include: [../gateway.yaml]\n',
      },
      'a/b.yaml:1:11: "../gateway.yaml": this file includes itself — take one `include` out',
    ],
    [
      'a file that is included twice',
      '[shared.yaml, ./shared.yaml]',
      { 'shared.yaml': shared },
      'gateway.yaml:1:24: "./shared.yaml": this file is included twice — include it in one place',
    ],
    [
      'a file that is not there',
      '[shared.yaml, other.yaml]',
      { 'shared.yaml': shared },
      'gateway.yaml:1:24: "other.yaml": there is no such file — name a file that exists',
    ],
    [
      'a directory',
      '[shared.yaml, tls]',
      { 'shared.yaml': shared },
      'gateway.yaml:1:24: "tls": this is a directory — name a file in it',
    ],
    [
      'one name instead of a list',
      'shared.yaml',
      {},
      'gateway.yaml:1:10: `include` is "shared.yaml" — write a list of files: `include: [shared.yaml]`',
    ],
  ]
  for (const [name, include, files, ...faults] of rows)
    test(name, async (t) => {
      const text = `include: ${include}\ndrainSeconds: 5\nversion: 1\n${own}`
      const { check } = workspace(t, { 'gateway.yaml': text, ...files })
      const said = (await check(['gateway.yaml'])).faults
      for (const fault of faults) assert.ok(said.includes(fault), said.join('\n'))
    })
})

test('while a file cannot be read, nothing is said to be missing', async (t) => {
  const { check } = workspace(t, { 'gateway.yaml': `include: [shared.yaml]\n${own}` })
  assert.deepEqual((await check(['gateway.yaml'])).faults, [
    'gateway.yaml:1:11: "shared.yaml": there is no such file — name a file that exists',
  ])
})

suite('a first file that cannot be read', () => {
  const rows: readonly (readonly [name: string, make: (path: string) => void, said: RegExp])[] = [
    ['is not there', () => {}, /there is no such file/],
    ['is a directory', (path) => mkdirSync(path), /this is a directory/],
    ['is not UTF-8', (path) => writeFileSync(path, Buffer.from([0x61, 0xff])), /not UTF-8/],
    [
      'is too large',
      (path) => {
        writeFileSync(path, '')
        truncateSync(path, 17_000_000)
      },
      /has more than the 16777216 bytes/,
    ],
  ]
  for (const [name, make, said] of rows)
    test(name, async (t) => {
      const { at, check } = workspace(t, {})
      make(at('gateway.yaml'))
      const { faults } = await check(['gateway.yaml'])
      assert.equal(faults.length, 1)
      assert.match(faults[0] ?? '', said)
    })

  test(
    'may not be read',
    { skip: process.getuid?.() === 0 && 'root may read everything' },
    async (t) => {
      const { at, check } = workspace(t, { 'gateway.yaml': gateway() })
      chmodSync(at('gateway.yaml'), 0o000)
      assert.match((await check(['gateway.yaml'])).faults[0] ?? '', /may not be read/)
    },
  )
})
