import assert from 'node:assert/strict'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { systemClock, systemRandomBytes } from '#contract/clock'
import { noLog, noMeter } from '#contract/telemetry'
import { openQuarantine } from '#plugins/quarantine/open'
import { listKeepsItsPromises } from '#test/ports/quarantine-list'
import { caller, entryAbout } from './entries.ts'

const folder = mkdtempSync(join(tmpdir(), 'sallyport-quarantine-'))
after(() => rmSync(folder, { recursive: true }))
let files = 0
const newFile = () => join(folder, `${files++}.jsonl`)

const parts = { clock: systemClock, randomBytes: systemRandomBytes, meter: noMeter, log: noLog }
const open = (file?: string, maxEntries = 20) =>
  openQuarantine({ maxEntries, ...(file === undefined ? {} : { file }) }, parts)
const ids = (list: Awaited<ReturnType<typeof open>>) =>
  Array.from(list.index.all(), ({ entry }) => entry.id)

listKeepsItsPromises('memory', () => open())
listKeepsItsPromises('a file', () => open(newFile()))

suite('a list in a file', () => {
  test('is there after a restart: what was added and not lifted, as it was', async () => {
    const file = newFile()
    const list = await open(file)
    const stays = entryAbout(
      { kind: 'subject', issuer: 'staff', subject: 'ann' },
      { notBefore: '2030-01-01T00:00:00.000Z', expiresAt: '2090-01-01T00:00:00.000Z' },
    )
    const goes = entryAbout({ kind: 'jti', jti: 'x' })
    const ends = entryAbout({ kind: 'jti', jti: 'y' }, { expiresAt: '2020-01-01T00:00:00.000Z' })
    for (const entry of [stays, goes, ends]) await list.add(entry)
    await list.lift(goes.id)
    // Not closed: a gateway that is killed closes nothing.
    const again = await open(file)
    assert.deepEqual(
      Array.from(again.index.all(), ({ entry }) => entry),
      [stays],
    )
    assert.equal(again.index.findWho(caller(), Date.now())?.entry.id, stays.id)
    await again.lift(stays.id)
    assert.deepEqual(ids(await open(file)), [])
    await Promise.all([list.close(), again.close()])
  })

  test('is for its owner alone, whatever it was before', async () => {
    const file = newFile()
    const list = await open(file)
    await list.add(entryAbout({ kind: 'jti', jti: 'x' }))
    assert.equal(statSync(file).mode & 0o777, 0o600)
    await list.close()
    chmodSync(file, 0o644)
    const again = await open(file)
    await again.add(entryAbout({ kind: 'jti', jti: 'y' }))
    assert.equal(statSync(file).mode & 0o777, 0o600)
    await again.close()
  })

  test('that a crash left with half a line loses that line, and takes more', async () => {
    const file = newFile()
    const list = await open(file)
    const entry = entryAbout({ kind: 'jti', jti: 'x' })
    await list.add(entry)
    await list.close()
    writeFileSync(file, `${readFileSync(file, 'utf8')}{"add":{"id":"ab`)
    const again = await open(file)
    assert.deepEqual(ids(again), [entry.id])
    const more = entryAbout({ kind: 'jti', jti: 'y' })
    await again.add(more)
    await again.close()
    assert.deepEqual(ids(await open(file)), [entry.id, more.id])
  })

  test('stays short, however often it changes', async () => {
    const file = newFile()
    const list = await open(file)
    const stays = entryAbout({ kind: 'jti', jti: 'stays' })
    await list.add(stays)
    // Ten thousand lines that no longer count, as a year may leave them.
    const dead = Array.from({ length: 10_100 }, () => '{"lift":"gone","lastChange":"9"}\n').join('')
    await list.close()
    writeFileSync(file, readFileSync(file, 'utf8') + dead)
    const again = await open(file)
    const more = entryAbout({ kind: 'jti', jti: 'more' })
    await again.add(more)
    await again.close()
    assert.equal(readFileSync(file, 'utf8').split('\n').length, 5) // header, place, two entries, the end
    assert.deepEqual(ids(await open(file)), [stays.id, more.id])
  })

  test('that cannot be written is in force all the same, says so, and is written once it can be', async () => {
    const directory = join(folder, 'full')
    mkdirSync(directory)
    const file = join(directory, 'list.jsonl')
    const list = await open(file)
    const temporary = join(directory, '.list.jsonl.tmp')
    mkdirSync(join(temporary, 'in the way'), { recursive: true })
    const one = entryAbout({ kind: 'subject', issuer: 'staff', subject: 'ann' })
    const added = await list.add(one)
    assert.ok(added.ok)
    assert.match(added.value.warnings[0] ?? '', /could not be written to .*list\.jsonl/)
    assert.equal(list.index.findWho(caller(), Date.now())?.entry.id, one.id)
    rmSync(temporary, { recursive: true })
    const two = entryAbout({ kind: 'jti', jti: 'x' })
    const next = await list.add(two)
    assert.deepEqual(next.ok && next.value.warnings, [])
    await list.close()
    assert.deepEqual(ids(await open(file)), [one.id, two.id])
  })
})

suite('nothing is started with a file', () => {
  const good = async () => {
    const file = newFile()
    const list = await open(file)
    await list.add(entryAbout({ kind: 'jti', jti: 'x' }))
    await list.close()
    return { file, text: readFileSync(file, 'utf8') }
  }
  const lines = (text: string) => text.split('\n')
  for (const [what, spoil, says] of [
    [
      'of something else',
      () => '{"version":1,"kind":"ingress"}\n',
      /:1: it is not the file of a quarantine/,
    ],
    ['that is empty', () => '', /:1: it is not the file of a quarantine/],
    ['that is no JSON', (text: string) => text.replace('"add"', 'add'), /:3: this is not JSON/],
    [
      'in which bits fell over',
      (text: string) => text.replace('"jti","jti"', '"jtj","jti"'),
      /:3: by\.kind must be/,
    ],
    [
      'that has lost a line in half',
      (text: string) => lines(text).toSpliced(1, 1, '{"lastCh').join('\n'),
      /:2: this is not JSON/,
    ],
  ] as const)
    test(what, async () => {
      const { file, text } = await good()
      writeFileSync(file, spoil(text))
      await assert.rejects(open(file), (error: Error) => {
        assert.ok(error.message.includes(file), error.message)
        assert.match(error.message, says)
        assert.match(error.message, /restore it, or move it away/)
        return true
      })
      assert.equal(readFileSync(file, 'utf8'), spoil(text), 'it is left as it was')
    })

  test('that may not be read', async (t) => {
    if (process.getuid?.() === 0) return t.skip('root may read everything')
    const { file } = await good()
    chmodSync(file, 0o000)
    await assert.rejects(open(file), /cannot be read \(EACCES\): give this user/)
  })

  test('that is a folder', async () => {
    await assert.rejects(open(folder), /quarantine\.file .* cannot be read \(EISDIR\)/)
  })
})
