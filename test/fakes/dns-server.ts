import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { addressBytes } from '#contract/ip-address'

/** One record of an answer. */
export type DnsRecord =
  | { readonly type: 'A' | 'AAAA'; readonly address: string; readonly ttl?: number }
  | { readonly type: 'CNAME'; readonly target: string; readonly ttl?: number }

/** What is answered to the nth question for a name: records (those of the type asked for are sent), or a failure. */
export type DnsAnswer = readonly DnsRecord[] | 'NXDOMAIN' | 'SERVFAIL' | 'silence'

export type DnsServer = {
  /** `127.0.0.1:PORT` */
  readonly address: string
  /** Answers in turn, one for each question of a type; the last one stays. */
  readonly set: (name: string, ...answers: readonly DnsAnswer[]) => void
  /** Questions so far, `A name`. */
  readonly asked: readonly string[]
  readonly close: () => Promise<void>
}

const typeNumbers = { A: 1, CNAME: 5, AAAA: 28 } as const
const codes = { NXDOMAIN: 3, SERVFAIL: 2 } as const

/** A name server on a free port of this machine (RFC 1035), for the answers that a real one gives only to attackers. */
export const runDns = async (): Promise<DnsServer> => {
  const zones = new Map<
    string,
    { readonly answers: readonly DnsAnswer[]; readonly used: Map<string, number> }
  >()
  const asked: string[] = []
  const socket = createSocket('udp4')
  socket.on('message', (question, from) => {
    const { name, type, end } = questionIn(question)
    const word = type === typeNumbers.A ? 'A' : type === typeNumbers.AAAA ? 'AAAA' : String(type)
    asked.push(`${word} ${name}`)
    const zone = zones.get(name)
    const turn = zone?.used.get(word) ?? 0
    zone?.used.set(word, turn + 1)
    const answer = zone ? (zone.answers[Math.min(turn, zone.answers.length - 1)] ?? []) : 'NXDOMAIN'
    if (answer === 'silence') return
    const records =
      typeof answer === 'string'
        ? []
        : answer.filter((record) => record.type === 'CNAME' || record.type === word)
    const header = Buffer.alloc(12)
    question.copy(header, 0, 0, 2)
    header.writeUInt16BE(0x8180 | (typeof answer === 'string' ? codes[answer] : 0), 2)
    header.writeUInt16BE(1, 4)
    header.writeUInt16BE(records.length, 6)
    socket.send(
      Buffer.concat([header, question.subarray(12, end), ...recordsFrom(name, records)]),
      from.port,
      from.address,
    )
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return {
    address: `127.0.0.1:${socket.address().port}`,
    set: (name, ...answers) => void zones.set(name, { answers, used: new Map() }),
    asked,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  }
}

const questionIn = (message: Buffer) => {
  const labels: string[] = []
  let at = 12
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.').toLowerCase(), type: message.readUInt16BE(at + 1), end: at + 5 }
}

/** A CNAME moves the name on: what follows is of its target. */
const recordsFrom = (asked: string, records: readonly DnsRecord[]): Buffer[] => {
  let owner = asked
  return records.map((record) => {
    const data =
      record.type === 'CNAME'
        ? nameBytes(record.target)
        : Buffer.from(addressBytes(record.address) ?? [])
    const fixed = Buffer.alloc(10)
    fixed.writeUInt16BE(typeNumbers[record.type], 0)
    fixed.writeUInt16BE(1, 2)
    fixed.writeUInt32BE(record.ttl ?? 60, 4)
    fixed.writeUInt16BE(data.length, 8)
    const bytes = Buffer.concat([nameBytes(owner), fixed, data])
    if (record.type === 'CNAME') owner = record.target
    return bytes
  })
}

const nameBytes = (name: string): Buffer =>
  Buffer.concat([
    ...name.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)])),
    Buffer.from([0]),
  ])
