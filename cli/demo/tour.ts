import type { DemoMesh } from './mesh.ts'
import { bold, columns, dim, green, red, say } from '../screen.ts'
import { stops, type Seen } from './stops.ts'

/** Makes the tour by itself, each stop as request → decision → what the service saw; says how many went as described. */
export const makeTour = async (mesh: DemoMesh): Promise<boolean> => {
  let failed = 0
  for (const [i, { title, go }] of stops.entries()) {
    const seen = await go(mesh)
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

const faultsOf = ({ decision, expected, wrong }: Seen): readonly string[] => [
  ...(decision === expected ? [] : [`expected ${expected}`]),
  ...wrong,
]
