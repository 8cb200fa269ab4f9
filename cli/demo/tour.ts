import { causeText } from '#contract/cause'
import type { DemoMesh } from './mesh.ts'
import { bold, columns, dim, green, red, say } from '../screen.ts'
import { stops, type Seen, type Stop } from './stops.ts'

/**
 * Makes the tour by itself, each stop as request → decision → what the service saw; says how many went as described.
 *
 * @param ending Breaks it off.
 */
export const makeTour = async (mesh: DemoMesh, ending: AbortSignal): Promise<boolean> => {
  let failed = 0
  for (const [i, stop] of stops.entries()) {
    const { title } = stop
    const seen = await Promise.race([visit(stop, mesh), brokenOff(ending)])
    if (seen === undefined) {
      say(red('The tour was broken off.'))
      return false
    }
    const faults = faultsOf(seen)
    if (faults.length > 0) failed += 1
    say(`${String(i + 1).padStart(2)}  ${bold(title)}`)
    say(`    ${seen.request}`)
    say(`    → ${faults.length === 0 ? green(seen.decision) : red(seen.decision)}`)
    if (seen.proof.length > 0) say(dim(columns(seen.proof, '      ')))
    for (const fault of faults) say(red(`    ✗ ${fault}`))
    say()
  }
  const done = stops.length - failed
  say(
    failed === 0
      ? green(`All ${done} stops went as described.`)
      : red(`${failed} of ${stops.length} stops did not go as described.`),
  )
  return failed === 0
}

const visit = async ({ title, go }: Stop, mesh: DemoMesh): Promise<Seen> => {
  try {
    return await go(mesh)
  } catch (cause) {
    return {
      request: title,
      decision: 'none',
      expected: 'one',
      proof: [],
      wrong: [causeText(cause)],
    }
  }
}

const brokenOff = (ending: AbortSignal): Promise<undefined> =>
  new Promise((resolve) => {
    if (ending.aborted) resolve(undefined)
    ending.addEventListener('abort', () => resolve(undefined), { once: true })
  })

const faultsOf = ({ decision, expected, wrong }: Seen): readonly string[] => [
  ...(decision === expected ? [] : [`expected ${expected}`]),
  ...wrong,
]
