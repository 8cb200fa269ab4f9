import type { Problem } from '#contract/problem'

/** Takes the reason why no connection could be had through a client that knows of exceptions only. */
export class DialFault extends Error {
  override readonly name = 'DialFault'
  readonly problem: Problem
  constructor(problem: Problem) {
    super(`no connection: ${problem.tag}`)
    this.problem = problem
  }
}
