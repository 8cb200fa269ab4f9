import { Pool } from 'undici'
import type { Question } from '#test/conformance/modsecurity/oracle'
import type { Contender } from './contender.ts'

export type Asked = {
  readonly requests: number
  readonly refused: number
  readonly cpuMicros: number
}

/**
 * Sends requests in turn for some time and waits for every answer, so that a server that needs a long time for one is not
 * charged for work whose answer nobody counted.
 */
export const askInTurn = async (
  { url, running }: Contender,
  questions: readonly Question[],
  { seconds, connections }: { readonly seconds: number; readonly connections: number },
): Promise<Asked> => {
  const pool = new Pool(url, { connections })
  let requests = 0
  let refused = 0
  const before = running.cpuMicros()
  const until = performance.now() + seconds * 1000
  const worker = async () => {
    while (performance.now() < until) {
      const question = questions[requests++ % questions.length]
      if (!question) throw new TypeError('nothing to ask')
      const { method, target, headers, body = null } = question
      const answer = await pool.request({
        method: method === 'GET' ? 'GET' : 'POST',
        path: target,
        headers: [...headers],
        body,
      })
      if (answer.statusCode !== 200) refused++
      await answer.body.dump()
    }
  }
  await Promise.all(Array.from({ length: connections }, worker))
  const cpuMicros = running.cpuMicros() - before
  await pool.destroy()
  return { requests, refused, cpuMicros }
}
