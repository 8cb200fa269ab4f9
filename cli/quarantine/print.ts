import {
  selected,
  type QuarantineEntry,
  type QuarantineOutcome,
  type QuarantineRow,
} from '#contract/quarantine'
import { bold, columns, dim, green, say } from '../screen.ts'

export type Listed = {
  readonly store: string
  readonly ageSeconds: number
  readonly entries: readonly QuarantineRow[]
  readonly moreEntries: number
}

/** `subject ann of staff` */
const what = ({ by }: QuarantineEntry): string => {
  const { kind, value, issuer } = selected(by)
  return `${kind} ${value}${issuer === undefined ? '' : ` of ${issuer}`}`
}

const until = ({ expiresAt, notBefore }: QuarantineEntry): string =>
  [
    expiresAt === undefined ? 'until lifted' : `until ${expiresAt}`,
    ...(notBefore === undefined ? [] : [`only tokens issued before ${notBefore}`]),
  ].join(', ')

const times = (hits: number): string => (hits === 1 ? 'once' : `${hits} times`)

export const printAdded = (body: unknown): void => {
  const { entry, hits } = body as QuarantineOutcome
  say(green(`${what(entry)} is cut off.`))
  say(
    columns([
      ['id', entry.id],
      ['ends', until(entry)],
      ['open here', hits === 0 ? 'there was nothing' : `cut ${times(hits)}`],
    ]),
  )
}

export const printLifted = (body: unknown): void => {
  const { entry, hits } = body as QuarantineOutcome
  say(`${what(entry)} is let in again. ${dim(`It was refused here ${times(hits)}.`)}`)
}

export const printList = (body: unknown): void => {
  const { store, ageSeconds, entries, moreEntries } = body as Listed
  if (entries.length === 0) say('Nobody is cut off.')
  for (const { entry, hits } of entries) {
    say(bold(what(entry)))
    say(
      columns([
        ['id', entry.id],
        ['reason', entry.reason],
        ['by', `${entry.actor}, ${entry.createdAt}`],
        ['ends', until(entry)],
        ['refused here', hits === 0 ? 'never' : times(hits)],
      ]),
    )
  }
  if (moreEntries > 0) say(`… and ${moreEntries} more: --max shows them.`)
  if (store === 'redis' && ageSeconds > staleSeconds)
    say(`The shared list was last seen ${ageSeconds} s ago: what was changed since is not here.`)
}

/** A gateway asks once a second. */
const staleSeconds = 5
