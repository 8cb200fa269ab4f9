import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { Destination } from '#plugins/audit-log/destination'
import { lineWriter } from '#plugins/audit-log/line-writer'

/** A destination that does to each write what a test says; it takes a few bytes at a time, as a full disk may. */
const scripted = (act: (write: number) => Promise<number> | number) => {
  const files: string[] = ['']
  let writes = 0
  let isOther = false
  const destination: Destination = {
    name: 'scripted',
    write: async (bytes, offset) => {
      const taken = Math.min(await act(writes++), bytes.length - offset)
      files[files.length - 1] += bytes.toString('latin1', offset, offset + taken)
      return taken
    },
    reopen: async () => {
      if (isOther) files.push('')
      return isOther
    },
    close: async () => {},
  }
  return { destination, files, moveAway: () => void (isOther = true) }
}
const fault = (code: string) => Object.assign(new Error(code), { code })
const watched = () => {
  const seen: string[] = []
  const say =
    (what: string) =>
    (detail: string | number = '') =>
      void seen.push(`${what} ${detail}`.trim())
  return {
    seen,
    watch: {
      written: say('written'),
      lost: say('lost'),
      failed: say('failed'),
      recovered: say('recovered'),
    },
  }
}
const settle = async () => {
  for (let i = 0; i < 20; i++) await turn()
}

suite('a writer of lines', () => {
  test('writes what came within 20 ms at once, and all that is left at close', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
    const { destination, files } = scripted(() => 1000)
    const { seen, watch } = watched()
    const writer = lineWriter(destination, 10_000, watch)
    writer.append('one\n')
    writer.append('two\n')
    await settle()
    assert.deepEqual(files, [''])
    t.mock.timers.tick(20)
    await settle()
    assert.deepEqual(files, ['one\ntwo\n'])
    writer.append('three\n')
    await writer.close()
    assert.deepEqual(files, ['one\ntwo\nthree\n'])
    assert.deepEqual(seen, ['written 2', 'written 1'])
    assert.equal(writer.append('late\n'), false)
  })

  test('does not wait when there is much', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
    const { destination, files } = scripted(() => 1e9)
    const writer = lineWriter(destination, 1e6, watched().watch)
    for (let i = 0; i < 140; i++) writer.append(`${'x'.repeat(1023)}\n`)
    await settle()
    assert.ok((files[0]?.length ?? 0) >= 131_072)
    await writer.close()
    assert.equal(files[0]?.length, 140 * 1024)
  })

  test('does not hurry the rest when much has left', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
    const { destination, files } = scripted(() => 1e9)
    const writer = lineWriter(destination, 1e6, watched().watch)
    const bytesAfter = async (ms: number) => {
      t.mock.timers.tick(ms)
      await settle()
      return files[0]?.length ?? 0
    }
    const line = `${'x'.repeat(1023)}\n`
    writer.append(line)
    assert.equal(await bytesAfter(15), 0)
    for (let i = 1; i < 128; i++) writer.append(line)
    assert.equal(await bytesAfter(0), 131_072)
    writer.append('the rest\n')
    assert.equal(await bytesAfter(19), 131_072)
    assert.equal(await bytesAfter(1), 131_072 + 'the rest\n'.length)
    await writer.close()
  })

  test('loses no line where one is longer than a whole chunk, or not of ASCII', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
    const { destination, files } = scripted(() => 1e9)
    const writer = lineWriter(destination, 1e8, watched().watch)
    const lines = ['short\n', `${'y'.repeat(300_000)}\n`, 'short\n']
    for (let i = 0; i < 300; i++) lines.push(`${i} ${'ä€'.repeat(i)}\u007f\n`)
    lines.push('the last\n')
    for (const line of lines) assert.ok(writer.append(line))
    t.mock.timers.tick(20)
    await settle()
    const expected = Buffer.from(lines.join('').replaceAll('\u007f', '\\u007f'))
    assert.ok(Buffer.from(files.join(''), 'latin1').equals(expected))
    for (const line of lines) assert.ok(writer.append(line))
    await writer.close()
    assert.equal(files.join('').length, 2 * expected.length)
  })

  test('writes well before it has as much as it may hold', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
    const { destination, files } = scripted(() => 1e9)
    const writer = lineWriter(destination, 65_536, watched().watch)
    for (let i = 0; i < 17; i++) writer.append(`${'x'.repeat(1023)}\n`)
    assert.ok(writer.isWell())
    await settle()
    assert.ok((files[0]?.length ?? 0) >= 16_384)
    await writer.close()
  })

  test('goes on within a line where a failure stopped it', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
    const { destination, files } = scripted((write) => {
      if (write === 1 || write === 2) throw fault('ENOSPC')
      return 6
    })
    const { seen, watch } = watched()
    const writer = lineWriter(destination, 10_000, watch)
    writer.append('first\n')
    writer.append('second\n')
    t.mock.timers.tick(20)
    await settle()
    assert.equal(writer.isWell(), false)
    t.mock.timers.tick(1000)
    await settle()
    assert.equal(writer.isWell(), false)
    t.mock.timers.tick(1000)
    await settle()
    assert.equal(writer.isWell(), true)
    assert.deepEqual(files, ['first\nsecond\n'])
    assert.deepEqual(seen, ['failed ENOSPC', 'written 2', 'recovered'])
    await writer.close()
  })

  test('begins the line anew where the file is another one', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
    const { destination, files, moveAway } = scripted((write) => {
      if (write === 1) throw fault('EIO')
      return 9
    })
    const writer = lineWriter(destination, 10_000, watched().watch)
    writer.append('first\n')
    writer.append('second\n')
    t.mock.timers.tick(20)
    await settle()
    moveAway()
    t.mock.timers.tick(1000)
    await settle()
    assert.deepEqual(files, ['first\nsec', 'second\n'])
    await writer.close()
  })

  test('waits for a slow reader without calling it a fault', async () => {
    const { destination, files } = scripted((write) => {
      if (write < 3) throw fault('EAGAIN')
      return 1000
    })
    const { seen, watch } = watched()
    const writer = lineWriter(destination, 10_000, watch)
    writer.append('one\n')
    await writer.close()
    assert.deepEqual(files, ['one\n'])
    assert.deepEqual(seen, ['written 1'])
  })

  test('is not well while a write does not end, and says so once', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
    const gate = Promise.withResolvers<number>()
    const { destination, files } = scripted(() => gate.promise)
    const { seen, watch } = watched()
    const writer = lineWriter(destination, 10_000, watch)
    writer.append('one\n')
    t.mock.timers.tick(20)
    await settle()
    t.mock.timers.tick(4000)
    assert.equal(writer.isWell(), true)
    t.mock.timers.tick(3000)
    assert.equal(writer.isWell(), false)
    assert.deepEqual(seen, ['failed a write does not end'])
    gate.resolve(1000)
    await settle()
    assert.equal(writer.isWell(), true)
    assert.deepEqual(files, ['one\n'])
    assert.deepEqual(seen, ['failed a write does not end', 'written 1', 'recovered'])
    await writer.close()
  })

  test('has room for so much and no more, and is not well when half of it is taken', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
    const { destination } = scripted(() => {
      throw fault('ENOSPC')
    })
    const { seen, watch } = watched()
    const writer = lineWriter(destination, 1000, watch)
    const line = `${'x'.repeat(99)}\n`
    for (let i = 0; i < 5; i++) assert.equal(writer.append(line), true)
    assert.equal(writer.isWell(), true)
    writer.append(line)
    assert.equal(writer.isWell(), false)
    for (let i = 0; i < 4; i++) assert.equal(writer.append(line), true)
    assert.equal(writer.append(line), false)
    await writer.close()
    assert.deepEqual(seen, ['failed ENOSPC', 'lost 10'])
  })
})
