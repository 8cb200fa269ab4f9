import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AuditEvent } from '#contract/audit-event'
import { noMeter, type Log, type Meter } from '#contract/telemetry'
import type { AuditLogOptions } from '#plugins/audit-log/options'
import { auditLog, type AuditLog } from '#plugins/audit-log/sink'

const directory = mkdtempSync(join(tmpdir(), 'sallyport-audit-'))
after(() => rmSync(directory, { recursive: true }))
let files = 0
const newFile = () => join(directory, `${files++}.jsonl`)

const eventOf = (decisionId: string, more: Partial<AuditEvent> = {}): AuditEvent => ({
  version: 1,
  kind: 'ingress',
  time: '2025-11-25T12:00:00.000Z',
  decisionId,
  outcome: 'forwarded',
  step: 'none',
  problem: 'none',
  status: 200,
  durationMs: 1,
  bytesIn: 0,
  bytesOut: 0,
  ...more,
})
/** Of the lines that are whole: one may just be on its way. */
const idsIn = (file: string): string[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => (JSON.parse(line) as AuditEvent).decisionId)

const open = (file: string, more: Partial<AuditLogOptions> = {}) => {
  const counts: Record<string, number> = {}
  const lines: string[] = []
  const keep = (fields: object, message: string) =>
    void lines.push(`${message} ${JSON.stringify(fields)}`)
  const meter: Meter = {
    ...noMeter,
    counter: (_, labels) => {
      const [result = ''] = Object.values(labels) as string[]
      return (by = 1) => void (counts[result] = (counts[result] ?? 0) + by)
    },
  }
  const log: Log = { info: keep, warn: keep, error: keep }
  const options = { file, whenUnwritable: 'refuse', maxBufferedBytes: 65_536, ...more } as const
  return { audit: auditLog(options, { meter, log }), counts, lines }
}
/** Waits until it holds, for at most five seconds. */
const until = async (holds: () => boolean): Promise<void> => {
  for (const end = performance.now() + 5000; !holds(); await sleep(10))
    assert.ok(performance.now() < end, `not within five seconds: ${holds.toString()}`)
}
const isReady = (audit: AuditLog) => audit.ready().ok

suite('the audit log', () => {
  test('writes every record, in order, to a file that only its owner may read', async () => {
    const file = newFile()
    const { audit, counts } = open(file)
    const ids = Array.from({ length: 200 }, (_, i) => `d-${i}`)
    for (const id of ids.slice(0, 100)) audit.write(eventOf(id))
    await until(() => existsSync(file) && idsIn(file).length === 100)
    for (const id of ids.slice(100)) audit.write(eventOf(id))
    await audit.close()
    assert.deepEqual(idsIn(file), ids)
    assert.deepEqual(counts, { written: 200 })
    assert.equal(statSync(file).mode & 0o777, 0o600)
  })

  test('appends to what is there, and begins a line of its own after one that is torn', async () => {
    const file = newFile()
    writeFileSync(file, `${JSON.stringify(eventOf('old'))}\n{"version":1,"dec`)
    const { audit } = open(file)
    audit.write(eventOf('new'))
    await audit.close()
    const lines = readFileSync(file, 'utf8').split('\n')
    assert.deepEqual(
      lines.map((line) => line.slice(0, 17)),
      ['{"version":1,"kin', '{"version":1,"dec', '{"version":1,"kin', ''],
    )
  })

  test('never holds a token or a secret', async () => {
    const file = newFile()
    const { audit } = open(file)
    const token = `eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl`
    const request = {
      method: 'GET',
      host: 'a',
      path: `/x/${token}`,
      protocol: 'HTTP/1.1',
      address: '::1',
    }
    audit.write(eventOf('d', { cause: `Authorization: Bearer ${token}`, detail: token, request }))
    await audit.close()
    assert.doesNotMatch(readFileSync(file, 'utf8'), /eyJ|c2ln/)
  })

  test('loses no record when the file is moved away and it is told to open it anew', async () => {
    const file = newFile()
    const { audit } = open(file)
    for (let i = 0; i < 50; i++) audit.write(eventOf(`a-${i}`))
    await until(() => idsIn(file).length === 50)
    renameSync(file, `${file}.1`)
    audit.write(eventOf('in between'))
    audit.reopen()
    await until(() => existsSync(file))
    for (let i = 0; i < 50; i++) audit.write(eventOf(`b-${i}`))
    await audit.close()
    const all = [...idsIn(`${file}.1`), ...idsIn(file)]
    assert.equal(all.length, 101)
    assert.equal(idsIn(file).at(-1), 'b-49')
  })

  test('does not start with a file that cannot be opened, and says which and why', () => {
    const file = join(directory, 'nowhere', 'audit.jsonl')
    assert.throws(() => open(file), {
      message: /nowhere\/audit\.jsonl: it cannot be opened \(ENOENT\)\. Name a file/,
    })
  })
})

suite('when records cannot be written', () => {
  /** A full disk that can be mended: a link that leads to /dev/full and then to a file. */
  const fullDisk = () => {
    const link = newFile()
    symlinkSync('/dev/full', link)
    const mend = () => {
      unlinkSync(link)
      return link
    }
    return { link, mend }
  }

  test('it refuses, keeps what it has, and recovers by itself', async () => {
    const { link, mend } = fullDisk()
    const { audit, counts, lines } = open(link)
    assert.equal(isReady(audit), true)
    audit.write(eventOf('a'))
    await until(() => !isReady(audit))
    const refusal = audit.ready()
    assert.ok(!refusal.ok && refusal.problem.tag === 'audit-unavailable')
    audit.write(eventOf('b'))
    mend()
    await until(() => isReady(audit))
    audit.write(eventOf('c'))
    await audit.close()
    assert.deepEqual(idsIn(link), ['a', 'b', 'c'])
    assert.deepEqual(counts, { written: 3 })
    assert.deepEqual(
      lines.map((line) => /ENOSPC|again/.exec(line)?.[0]),
      ['ENOSPC', 'again'],
    )
  })

  test('it goes on where it was told to, and counts what it drops', async () => {
    const { link, mend } = fullDisk()
    const { audit, counts } = open(link, { whenUnwritable: 'continue' })
    audit.write(eventOf('first'))
    for (let i = 0; i < 2000; i++) audit.write(eventOf(`d-${i}`))
    assert.equal(isReady(audit), true)
    const dropped = counts['dropped'] ?? 0
    assert.ok(dropped > 0 && dropped < 2000, `${dropped} dropped`)
    mend()
    await until(() => existsSync(link) && idsIn(link).length > 0)
    await audit.close()
    assert.equal(counts['written'], 2001 - dropped)
    assert.equal(idsIn(link).length, 2001 - dropped)
  })

  test('a folder that is gone is as bad as a full disk, once the file is opened anew', async () => {
    const folder = join(directory, 'folder')
    mkdirSync(folder)
    const { audit } = open(join(folder, 'audit.jsonl'))
    rmSync(folder, { recursive: true })
    audit.reopen()
    await until(() => !isReady(audit))
    mkdirSync(folder)
    await until(() => isReady(audit))
    audit.write(eventOf('after'))
    await audit.close()
    assert.deepEqual(idsIn(join(folder, 'audit.jsonl')), ['after'])
  })

  test('a reader that does not read makes it refuse before it drops', async () => {
    const pipe = newFile()
    execFileSync('mkfifo', [pipe])
    const reader = spawn('sh', ['-c', 'exec 3<"$0"; exec sleep 60', pipe])
    // The reader's open waits for a writer, and ours fails without a reader: so both are tried until they meet.
    let opened: ReturnType<typeof open> | undefined
    await until(() => {
      try {
        opened ??= open(pipe, { maxBufferedBytes: 200_000 })
      } catch {
        return false
      }
      return true
    })
    assert.ok(opened)
    const { audit, counts } = opened
    let taken = 0
    for (; isReady(audit) && taken < 5000; taken++) {
      audit.write(eventOf(`d-${taken}`))
      if (taken % 50 === 0) await sleep(1)
    }
    assert.ok(taken < 5000, 'it never refused')
    assert.equal(counts['dropped'], undefined)
    reader.kill('SIGKILL')
    await once(reader, 'exit')
    await audit.close()
  })

  test('what cannot be written at close is counted', async () => {
    const { link } = fullDisk()
    const { audit, counts } = open(link)
    for (let i = 0; i < 3; i++) audit.write(eventOf(`d-${i}`))
    await audit.close()
    assert.deepEqual(counts, { failed: 3 })
  })
})

suite('the audit log on standard output', () => {
  const program = `
    const { auditLog } = await import('#plugins/audit-log/sink')
    const { noLog, noMeter } = await import('#contract/telemetry')
    const audit = auditLog({ file: 'stdout', whenUnwritable: 'refuse', maxBufferedBytes: 8388608 }, { log: noLog, meter: noMeter })
    for (let i = 0; i < 3000; i++) audit.write({ version: 1, kind: 'ingress', time: '', decisionId: 'd-' + i, outcome: 'failed', step: 'a', problem: 'internal', cause: 'x'.repeat(100), status: 500, durationMs: 1, bytesIn: 0, bytesOut: 0 })
    await audit.close()`

  test('comes through a pipe whole, though its reader is slow', async () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const chunks: Buffer[] = []
    for await (const chunk of child.stdout) {
      chunks.push(chunk as Buffer)
      await sleep(1)
    }
    const lines = Buffer.concat(chunks).toString('utf8').trimEnd().split('\n')
    assert.equal(lines.length, 3000)
    assert.ok(lines.every((line, i) => (JSON.parse(line) as AuditEvent).decisionId === `d-${i}`))
  })
})
