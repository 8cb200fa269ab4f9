import { pass } from '#contract/problem'
import type { Body } from '#http/body'

/** Of a request that is only explained. */
export const noBody: Body = {
  expected: false,
  peek: () => pass({ bytes: Buffer.alloc(0), whole: true }),
  keepSmall: () => undefined,
  take: () => null,
  fault: () => undefined,
  bytesIn: () => 0,
}
