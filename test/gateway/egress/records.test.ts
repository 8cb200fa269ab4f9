// The disk of the records is full: on the way out, too, nothing is done unrecorded unless the configuration says so.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AuditEvent } from '#contract/audit-event'
import { noLog, noMeter, type Meter } from '#contract/telemetry'
import { auditLog } from '#plugins/audit-log/sink'
import { runHttp } from '#test/fakes/https-server'
import { certificates, refusalOf, runRig, shop } from './rig.ts'

const certs = certificates()
let visits = 0
const echo = createServer((socket) => {
  visits += 1
  socket.on('error', () => {}).pipe(socket)
})
await once(echo.listen(0, '127.0.0.1'), 'listening')
const { port } = echo.address() as AddressInfo
const plain = await runHttp((_req, res) => {
  visits += 1
  res.end('fine')
})
after(() => {
  echo.close()
  return plain.close()
})
const opens = ['127.0.0.0/8']

const folder = mkdtempSync(join(tmpdir(), 'sallyport-egress-records-'))
after(() => rmSync(folder, { recursive: true }))

/** A rig whose records go to a file on a disk that can be filled and mended. */
const runWith = async (whenUnwritable: 'refuse' | 'continue') => {
  const counts: Record<string, number> = {}
  const meter: Meter = {
    ...noMeter,
    counter: (_, labels) => {
      const [result = ''] = Object.values(labels) as string[]
      return (by = 1) => void (counts[result] = (counts[result] ?? 0) + by)
    },
  }
  const file = join(folder, `${whenUnwritable}.jsonl`)
  writeFileSync(file, '')
  const options = { file, whenUnwritable, maxBufferedBytes: 65_536 }
  const audit = auditLog(options, { meter, log: noLog })
  const rig = await runRig(certs, {
    rules: [
      {
        id: 'shop',
        destinations: [
          { hosts: ['db.lan'], protocol: 'tcp', ports: [port], opens },
          { hosts: ['api.lan'], protocol: 'http', ports: [plain.port], opens },
        ],
      },
    ],
    ports: { audit },
  })
  for (const name of ['db.lan', 'api.lan']) rig.dns.set(name, [{ type: 'A', address: '127.0.0.1' }])
  return {
    counts,
    records: () =>
      readFileSync(file, 'utf8')
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as AuditEvent),
    fill: () => {
      unlinkSync(file)
      symlinkSync('/dev/full', file)
      audit.reopen()
    },
    mend: () => unlinkSync(file),
    close: () => audit.close(),
    isReady: () => audit.ready().ok,
    tunnel: () => rig.connect(`db.lan:${port}`),
    get: async () => {
      const wire = await rig.dialProxy(shop)
      wire.write(
        `GET http://api.lan:${plain.port}/ HTTP/1.1\r\nHost: api.lan:${plain.port}\r\n\r\n`,
      )
      const answer = await wire.answer()
      wire.destroy()
      return refusalOf(answer)
    },
  }
}
const until = async (isSo: () => boolean) => {
  while (!isSo()) await sleep(10)
}

suite('while the disk of the records is full', () => {
  test(
    'nobody goes out, by tunnel or request; what was open goes on, and all is recorded once there is room',
    { timeout: 60_000 },
    async () => {
      const at = await runWith('refuse')
      const before = await at.tunnel()
      assert.equal(before.answer.status, 200)
      assert.equal(await at.get(), '200 none')
      at.fill()
      await at.get() // whose record is the first that cannot be written
      await until(() => !at.isReady())

      visits = 0
      assert.equal(await at.get(), '503 audit-unavailable')
      assert.equal(refusalOf((await at.tunnel()).answer), '503 audit-unavailable')
      assert.equal(visits, 0)
      before.wire.write('still there')
      await before.wire.until(/still there/)
      before.wire.destroy()

      at.mend()
      await until(at.isReady)
      assert.equal(await at.get(), '200 none')
      await at.close()
      const refused = at.records().filter(({ problem }) => problem === 'audit-unavailable')
      assert.deepEqual(new Set(refused.map(({ door }) => door)), new Set(['connect', 'request']))
      assert.ok(at.records().some(({ egress }) => egress?.phase === 'closed'))
      assert.equal(at.counts['dropped'], undefined)
    },
  )

  test(
    'they go out where the configuration says so, and what is not recorded is counted',
    { timeout: 60_000 },
    async () => {
      const at = await runWith('continue')
      at.fill()
      for (; (at.counts['dropped'] ?? 0) === 0;) assert.equal(await at.get(), '200 none')
      assert.equal(await at.get(), '200 none')
      assert.equal((await at.tunnel()).answer.status, 200)
      at.mend()
      await at.close()
    },
  )
})
