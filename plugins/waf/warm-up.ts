import type { Program } from './engine/program.ts'
import { beginTransaction } from './engine/transaction.ts'

/** Enough for every rule's first patterns to be compiled once; short of what anyone would notice at the start. */
const budgetMs = 100

const hostile =
  "1' or '1'='1 union select password from users-- <script>alert(1)</script> ../../etc/passwd ;cat /etc/passwd ${jndi:ldap://x} <?php system('id') {{7*7}} http://127.0.0.1/"

/** One of each way in: a query, a form, JSON. */
const samples: readonly {
  readonly query: string
  readonly type?: string
  readonly body: string
}[] = [
  { query: `?q=${encodeURIComponent(hostile)}`, body: '' },
  { query: '', type: 'application/json', body: JSON.stringify({ a: hostile, b: [1, 'two'] }) },
  {
    query: '?id=1',
    type: 'application/x-www-form-urlencoded',
    body: `a=${encodeURIComponent(hostile)}&b=2`,
  },
]

/**
 * Runs a few hostile requests through the rules, so that V8 compiles their patterns now and not while the first real
 * attack waits. Gives way to other work as any request does, and stops early when it has taken its time.
 */
export const warmUp = async (program: Program): Promise<void> => {
  const until = performance.now() + budgetMs
  for (const { query, type, body } of samples) {
    if (performance.now() > until) return
    const about =
      type === undefined ? [] : ['content-type', type, 'content-length', `${body.length}`]
    const headers = ['host', 'warm-up', 'user-agent', hostile, 'cookie', `a=${hostile}`, ...about]
    const transaction = beginTransaction(program, {
      method: type === undefined ? 'GET' : 'POST',
      target: `/warm-up${query}`,
      protocol: 'HTTP/1.1',
      headers,
      remoteAddress: '192.0.2.1',
      uniqueId: 'warm-up',
      nowMs: 0,
    })
    // Patterns of later rules are wanted, too: a refusal would end it.
    transaction.state.mode = 'DetectionOnly'
    await transaction.requestHead()
    if (body !== '') await transaction.readBody(Buffer.from(body, 'latin1'), true)
    await transaction.requestBody()
  }
}
