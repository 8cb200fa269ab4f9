import { bold, dim, green, red } from '../screen.ts'
import type { ExplainedStep, Explanation } from './explanation.ts'

const marks = {
  admitted: green('✓'),
  refused: red('✗'),
  'not reached': dim('·'),
} as const satisfies Record<ExplainedStep['outcome'], string>

/** The steps of the way as a person reads them, top to bottom. */
export const print = ({ request, steps, verdict }: Explanation): string => {
  const width = Math.max(...steps.map(({ step }) => step.length))
  const lines = steps.map(({ step, outcome, says }) => {
    const line = `  ${marks[outcome]} ${step.padEnd(width)}  ${outcome === 'not reached' ? 'not reached' : says}`
    return outcome === 'not reached' ? dim(line) : line
  })
  const end = verdict.forwarded
    ? green(`Forwarded to ${verdict.to}.`)
    : red(`${verdict.status} ${verdict.problem}: ${verdict.title}`)
  return `${bold(request)}\n\n${lines.join('\n')}\n\n${end}\n`
}
