import { hasByte } from './byte-set.ts'
import { assertionNames, holds, opcode, type Program } from './program.ts'

/** Instructions times bytes that one search may visit: some milliseconds. */
export const maxVisits = 250_000

/**
 * Finds the match that Perl would find, and its groups, in time bounded by instructions times bytes: a backtracking
 * search that never enters the same instruction at the same place twice.
 *
 * @returns Offsets, two a group, -1 where a group took no part; undefined without a match or where `maxVisits` would be exceeded.
 */
export const findGroups = (program: Program, subject: string): Int32Array | undefined => {
  const { ops, next, other, argument, sets } = program
  const columns = subject.length + 1
  if (program.length * columns > maxVisits) return undefined
  const seen = new Uint32Array(((program.length * columns) >>> 5) + 1)
  const slots = new Int32Array((program.groupCount + 1) * 2).fill(-1)
  // Jobs to come back to: an instruction and a place; or, with a negative first, a slot to put back and its old value.
  const jobs: number[] = []

  for (let begin = 0; begin < columns; begin++) {
    if (begin > 0 && program.anchored) return undefined
    jobs.length = 0
    jobs.push(0, begin)
    while (jobs.length > 0) {
      let place = jobs.pop() ?? 0
      let at = jobs.pop() ?? 0
      if (at < 0) {
        slots[-at - 1] = place
        continue
      }
      follow: for (;;) {
        const cell = at * columns + place
        const bits = seen[cell >>> 5] ?? 0
        const bit = 1 << (cell & 31)
        if ((bits & bit) !== 0) break
        seen[cell >>> 5] = bits | bit
        switch (ops[at]) {
          case opcode.set: {
            const set = sets[argument[at] ?? 0]
            if (place >= subject.length || !set || !hasByte(set, subject.charCodeAt(place) & 255))
              break follow
            place++
            break
          }
          case opcode.split:
            jobs.push(other[at] ?? 0, place)
            break
          case opcode.save: {
            const slot = argument[at] ?? 0
            jobs.push(-slot - 1, slots[slot] ?? -1)
            slots[slot] = place
            break
          }
          case opcode.assert: {
            const what = assertionNames[argument[at] ?? 0]
            const before = place > 0 ? subject.charCodeAt(place - 1) & 255 : -1
            const after = place < subject.length ? subject.charCodeAt(place) & 255 : -1
            if (what === undefined || !holds(what, before, after)) break follow
            break
          }
          case opcode.match:
            return slots
          default:
        }
        at = next[at] ?? 0
      }
    }
  }
  return undefined
}
