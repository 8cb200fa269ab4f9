import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { run } from '#cli/check'
import { run as runDocs } from '#cli/docs'
import { exchange, gateway, workspace } from '../config/workspace.ts'
import { commandHere } from './command-here.ts'

const root = join(import.meta.dirname, '../..')
const runs = { check: run, docs: runDocs } as const

const sallyport = (args: readonly string[], cwd = root) => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(root, 'cli/sallyport.ts'), ...args],
    { cwd, encoding: 'utf8', timeout: 30_000 },
  )
  return { status, stdout, stderr }
}

suite('sallyport', () => {
  test('lists every command that there is, one line each', () => {
    const { status, stdout } = sallyport(['--help'])
    assert.equal(status, 0)
    const listed = [...stdout.matchAll(/^ {2}([a-z]+) {2,}\S/gm)].map(([, name]) => name ?? '')
    // A command is a file that exports `run`.
    const files = readdirSync(join(root, 'cli'), { recursive: true, encoding: 'utf8' })
    const commands = files
      .filter((file) => file.endsWith('.ts'))
      .filter((file) => /^export const run\b/m.test(readFileSync(join(root, 'cli', file), 'utf8')))
      .map((file) => file.replace(/^.*\//, '').replace('.ts', ''))
    assert.ok(commands.length >= 2)
    assert.deepEqual(listed.sort(), commands.sort())
  })

  test('says what was probably meant by a command that there is not', () => {
    const { status, stdout, stderr } = sallyport(['chekc'])
    assert.deepEqual({ status, stdout }, { status: 2, stdout: '' })
    assert.equal(stderr, 'There is no command `chekc`. Did you mean `check`?\n')
  })

  test('says its version', () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      version: string
    }
    assert.deepEqual(sallyport(['--version']), { status: 0, stdout: `${version}\n`, stderr: '' })
  })

  test('without a command shows what there is, and fails', () => {
    const { status, stdout } = sallyport([])
    assert.equal(status, 2)
    assert.match(stdout, /check/)
  })
})

suite('sallyport check', () => {
  const check = (args: readonly string[], cwd: string) => commandHere(run, args, cwd)

  const broken = gateway().replace('upstream: orders\n', 'upstream: ordres\n')
  const files = {
    'gateway.yaml': gateway(),
    'exchange.yaml': exchange(),
    'broken.yaml': broken,
    'open.yaml': gateway().replace('listeners:', 'listeners:\n  admin: { host: 0.0.0.0 }'),
  }

  test('is content with what is right', (t) => {
    const { at } = workspace(t, files)
    assert.deepEqual(sallyport(['check', 'gateway.yaml', 'exchange.yaml'], at('.')), {
      status: 0,
      stdout: 'gateway.yaml (gateway), exchange.yaml (exchange): no faults, no warnings\n',
      stderr: '',
    })
  })

  test('tells faults as file:line:column, what and the remedy, and fails', async (t) => {
    const { at } = workspace(t, files)
    const { status, stdout } = await check(['broken.yaml'], at('.'))
    assert.equal(status, 1)
    assert.match(
      stdout,
      /^broken\.yaml:\d+:15: there is no upstream `ordres` — did you mean `orders`\?\nbroken\.yaml \(gateway\): 1 fault, no warnings\n$/,
    )
  })

  test('warns without failing', async (t) => {
    const { at } = workspace(t, files)
    const { status, stdout } = await check(['open.yaml'], at('.'))
    assert.equal(status, 0)
    assert.match(stdout, /^open\.yaml:\d+:18: warning: the admin listener is open to the network/)
  })

  test('gives the same to scripts as JSON', async (t) => {
    const { at } = workspace(t, files)
    const { status, stdout } = await check(['--json', 'broken.yaml', 'open.yaml'], at('.'))
    assert.equal(status, 1)
    const { ok, files: checked } = JSON.parse(stdout) as {
      ok: boolean
      files: { file: string; kind: string; faults: object[]; warnings: object[] }[]
    }
    assert.equal(ok, false)
    assert.deepEqual(
      checked.map(({ file, kind, faults, warnings }) => [
        file,
        kind,
        faults.length,
        warnings.length,
      ]),
      [
        ['broken.yaml', 'gateway', 1, 0],
        ['open.yaml', 'gateway', 0, 1],
      ],
    )
    assert.deepEqual(Object.keys(checked[0]?.faults[0] ?? {}).sort(), [
      'column',
      'file',
      'line',
      'message',
      'path',
      'remedy',
    ])
  })

  test('does not look at files that are on another machine, when told so', async (t) => {
    const { at } = workspace(t, {
      'far.yaml': gateway().replace('bundle.tar.gz', '/nowhere/bundle.tar.gz'),
    })
    assert.equal((await check(['far.yaml'], at('.'))).status, 1)
    assert.equal((await check(['--no-files', 'far.yaml'], at('.'))).status, 0)
  })

  for (const [command, ...args] of [
    ['check'],
    ['check', '--jsn', 'a.yaml'],
    ['docs', 'x'],
  ] as const)
    test(`explains itself to \`${[command, ...args].join(' ')}\``, async () => {
      const { status, stdout, stderr } = await commandHere(runs[command], args)
      assert.deepEqual({ status, stdout }, { status: 2, stdout: '' })
      assert.match(stderr, new RegExp(`sallyport ${command} \\[`))
    })
})
