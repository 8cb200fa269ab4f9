import assert from 'node:assert/strict'
import { existsSync, globSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { suite, test } from 'node:test'

const root = join(import.meta.dirname, '../..')
const skipped = ['node_modules', '.git', 'dist']
const maxBytes = 2_000_000

const files = globSync('**/*', {
  cwd: root,
  exclude: (name) => skipped.some((folder) => name === folder || name.endsWith(`/${folder}`)),
}).filter((file) => {
  const found = statSync(join(root, file), { throwIfNoEntry: false })
  return found?.isFile() === true && found.size < maxBytes
})

/** Where this checkout is, what lies beside it, and who made it: nothing that another machine has. */
const machinePaths = [
  root,
  ...(dirname(root) === '/'
    ? []
    : readdirSync(dirname(root)).map((name) => join(dirname(root), name))),
  homedir(),
]
  .map((path) => `${path}/`)
  .filter((path) => path.split('/').length > 3) // `/app/` and `/root/` are names on any machine

const machinePathsIn = (text: string): string[] =>
  machinePaths.filter((path) => text.includes(path))

suite('the tree', () => {
  test('names no path of the machine that it was made on', () => {
    assert.ok(files.length > 100, 'no files: the test would have checked nothing')
    assert.deepEqual(
      files.filter((file) => machinePathsIn(readFileSync(join(root, file), 'latin1')).length > 0),
      [],
    )
  })

  test('would be found out by a planted path', () => {
    assert.deepEqual(machinePathsIn(`see ${root}/README.md`).includes(`${root}/`), true)
    assert.deepEqual(machinePathsIn('see /etc/hosts and ./README.md'), [])
  })

  test('takes packages from the public registry alone', () => {
    const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { resolved?: string }>
    }
    const resolved = Object.values(lock.packages).flatMap(({ resolved: url }) => url ?? [])
    assert.deepEqual(
      resolved.filter((url) => !url.startsWith('https://registry.npmjs.org/')),
      [],
    )
    assert.ok(Object.keys(lock.packages).length > 100)
  })

  test('has all the folders that the map of the project names', () => {
    for (const folder of [
      'contract',
      'http',
      'identity',
      'config',
      'gateway',
      'exchange',
      'plugins',
      'cli',
      'test',
      'docs',
      'k8s',
    ])
      assert.ok(existsSync(join(root, folder)), folder)
  })
})
