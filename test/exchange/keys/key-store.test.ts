import assert from 'node:assert/strict'
import {
  chmod,
  link,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { diskKeyStore } from '#exchange/keys/disk'
import type { KeyState, KeyStore } from '#exchange/keys/key-store'
import { memoryKeyStore } from '#exchange/keys/memory'
import { encodeKeys } from '#exchange/keys/stored-keys'
import { hourMs, fakeClock, openTestAuthority } from '../fixtures.ts'

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-keys-'))
})
after(() => rm(folder, { recursive: true }))
let count = 0
const newDirectory = () => join(folder, `store-${count++}`)

/** A state with something in every place: active, next and retired. */
const fullState = async (): Promise<KeyState> => {
  const { clock, pass } = fakeClock()
  const inspection = { hosts: ['*.example.com'], caMs: 24 * hourMs, leafMs: hourMs }
  const authority = await openTestAuthority(clock, { inspection })
  for (const kind of ['root', 'intermediate', 'jwt', 'inspection'] as const) {
    await authority.order({ kind, step: 'prepare' })
    await authority.order({ kind, step: 'activate', force: true })
    pass(hourMs / 60)
    await authority.order({ kind, step: 'prepare' })
  }
  return authority.current().keys
}

const keyStoreKeepsItsPromises = (
  name: string,
  open: () => { store: KeyStore; again: () => KeyStore },
) => {
  suite(`the ${name} key store`, () => {
    test('gives nothing where nothing was saved', async () => {
      assert.equal(await open().store.load(), undefined)
    })

    test('gives what was saved, every key of it, also to the next who opens it', async () => {
      const { store, again } = open()
      const state = await fullState()
      await store.load()
      await store.save(state)
      const loaded = await again().load()
      assert.ok(loaded)
      assert.equal(encodeKeys(loaded), encodeKeys(state))
      assert.ok(loaded.roots.active.privateKey.equals(state.roots.active.privateKey))
      assert.equal(loaded.jwtKeys.retired.length, 1)
      assert.ok(!('privateKey' in (loaded.jwtKeys.retired[0]?.key ?? {})))
    })

    test('gives the last of several', async () => {
      const { store, again } = open()
      await store.load()
      const state = await fullState()
      await store.save(state)
      await store.save({ ...state, sequence: state.sequence + 1 })
      assert.equal((await again().load())?.sequence, state.sequence + 1)
    })
  })
}

keyStoreKeepsItsPromises('memory', () => {
  const store = memoryKeyStore()
  return { store, again: () => store }
})
keyStoreKeepsItsPromises('disk', () => {
  const directory = newDirectory()
  return { store: diskKeyStore(directory), again: () => diskKeyStore(directory) }
})

suite('the disk key store', () => {
  const saved = async () => {
    const directory = newDirectory()
    const store = diskKeyStore(directory)
    await store.load()
    const state = await fullState()
    await store.save(state)
    return { directory, store, state, file: join(directory, 'keys.json') }
  }
  const refuses = (directory: string, why: RegExp) =>
    assert.rejects(diskKeyStore(directory).load(), (error: Error) => {
      assert.match(error.message, why)
      assert.ok(error.message.includes(directory), 'the message does not name the file')
      assert.ok(!error.message.includes('PRIVATE'), 'the message quotes the file')
      return true
    })

  test('lets nobody else read: directory 700, file 600, nothing else left behind', async () => {
    const { directory, file } = await saved()
    assert.equal((await stat(directory)).mode & 0o777, 0o700)
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    assert.deepEqual(await readdir(directory), ['keys.json'])
  })

  for (const [mode, what] of [
    [0o640, 'file'],
    [0o604, 'file'],
    [0o660, 'file'],
    [0o750, 'directory'],
    [0o705, 'directory'],
  ] as const)
    test(`refuses a ${what} of mode ${mode.toString(8)} and says how to mend it`, async () => {
      const { directory, file } = await saved()
      await chmod(what === 'file' ? file : directory, mode)
      await refuses(directory, what === 'file' ? /mode .*chmod 600/ : /mode .*chmod 700/)
    })

  const corruptions: Readonly<Record<string, (text: string) => string>> = {
    'cut off': (text) => text.slice(0, text.length / 2),
    empty: () => '',
    'not JSON': () => 'keys',
    'another JSON': () => '[]',
    'of another format': (text) => text.replace('keys-1', 'keys-9'),
    'edited by hand': (text) => text.replace(/"sequence": \d+/, '"sequence": 1'),
    'too large': (text) => text + ' '.repeat(1024 * 1024),
  }
  for (const [how, corrupt] of Object.entries(corruptions))
    test(`refuses a file that is ${how}, with its name and a remedy`, async () => {
      const { directory, file } = await saved()
      await writeFile(file, corrupt(await readFile(file, 'utf8')))
      await refuses(directory, /corrupt: .+ Remedy: /)
    })

  test('refuses keys that do not belong to their certificates', async () => {
    const { directory, store, state } = await saved()
    const other = await fullState()
    await store.save({
      ...state,
      intermediates: {
        ...state.intermediates,
        active: {
          ...state.intermediates.active,
          privateKey: other.intermediates.active.privateKey,
        },
      },
    })
    await refuses(directory, /corrupt: intermediates\.active\.certificate is for another key/)
  })

  test('refuses a link in place of the file', async () => {
    const { directory, file } = await saved()
    const elsewhere = join(folder, `elsewhere-${count++}`)
    await rename(file, elsewhere)
    await symlink(elsewhere, file)
    await refuses(directory, /is a link/)
  })

  test('keeps the old keys if a write was cut off, and writes over what it left', async () => {
    const { directory, store, state, file } = await saved()
    await writeFile(join(directory, '.keys.json.tmp'), 'half a fi')
    assert.ok(await diskKeyStore(directory).load())
    await store.save({ ...state, sequence: state.sequence + 1 })
    assert.match(await readFile(file, 'utf8'), new RegExp(`"sequence": ${state.sequence + 1}`))
    assert.deepEqual(await readdir(directory), ['keys.json'])
  })

  test('replaces the file, so that who has the old one open still reads it whole', async () => {
    const { directory, store, state, file } = await saved()
    const kept = join(directory, 'kept')
    await link(file, kept)
    await store.save({ ...state, sequence: state.sequence + 1 })
    assert.notEqual((await stat(kept)).ino, (await stat(file)).ino)
  })

  test('refuses to write over what another process wrote', async () => {
    const { directory, store, state } = await saved()
    const other = diskKeyStore(directory)
    await other.load()
    await other.save({ ...state, sequence: state.sequence + 1 })
    await assert.rejects(store.save(state), /changed by another process.*directory of its own/)
  })
})
