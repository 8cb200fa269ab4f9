import { isoTime, type Clock, type RandomBytes } from '#contract/clock'
import { pass, refuse, type Result } from '#contract/problem'
import type { QuarantineEntry } from '#contract/quarantine'
import { parseSelector } from './selector.ts'

type Fields = Readonly<Record<string, unknown>>

const maxIdChars = 64
const maxReasonChars = 500
const maxActorChars = 200
const idBytes = 8
const maxSeconds = 315_360_000 // ten years

const orderFields = ['by', 'reason', 'actor', 'forSeconds', 'expiresAt', 'notBefore']
const entryFields = ['id', 'by', 'reason', 'actor', 'createdAt', 'expiresAt', 'notBefore']

/** Only what is said of tokens can be narrowed to those issued before an instant. */
const tokenKinds = ['issuer', 'subject', 'spiffe-id', 'kid']

/**
 * Makes an entry of an order: `by` whom or what, `reason`, `actor`; `forSeconds` or `expiresAt` when it is to end by itself;
 * `notBefore`, an instant or `now`, when it is only about tokens issued before that.
 *
 * @returns Refuses with `request-malformed`, the detail a sentence that says what is wrong.
 */
export const entryOfOrder = (
  order: unknown,
  { clock, randomBytes }: { readonly clock: Clock; readonly randomBytes: RandomBytes },
): Result<QuarantineEntry> => {
  const nowMs = clock()
  const fields = fieldsIn(order, orderFields)
  if (!fields.ok) return fields
  const { forSeconds, expiresAt, notBefore } = fields.value
  if (forSeconds !== undefined && expiresAt !== undefined)
    return malformed('forSeconds and expiresAt exclude each other.')
  if (forSeconds !== undefined && !isLength(forSeconds))
    return malformed(`forSeconds must be a whole number from 1 to ${maxSeconds}.`)
  const read = readEntry({
    ...fields.value,
    id: randomBytes(idBytes).toString('hex'),
    createdAt: isoTime(nowMs),
    expiresAt: forSeconds === undefined ? expiresAt : isoTime(nowMs + forSeconds * 1000),
    notBefore: notBefore === 'now' ? isoTime(nowMs) : notBefore,
  })
  return read.ok && hasEnded(read.value, nowMs) ? malformed('expiresAt has passed.') : read
}

const isLength = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= maxSeconds

/** Whether an entry is over. */
export const hasEnded = ({ expiresAt }: QuarantineEntry, nowMs: number): boolean =>
  expiresAt !== undefined && Date.parse(expiresAt) <= nowMs

/** Reads an entry as it was stored. Refuses with `request-malformed`. */
export const parseEntry = (value: unknown): Result<QuarantineEntry> => {
  const fields = fieldsIn(value, entryFields)
  return fields.ok ? readEntry(fields.value) : fields
}

const readEntry = (fields: Fields): Result<QuarantineEntry> => {
  const by = parseSelector(fields['by'])
  if (!by.ok) return by
  const wrong =
    textFault(fields, 'id', maxIdChars) ??
    textFault(fields, 'reason', maxReasonChars) ??
    textFault(fields, 'actor', maxActorChars) ??
    instantFault(fields, 'createdAt') ??
    (fields['expiresAt'] === undefined ? undefined : instantFault(fields, 'expiresAt')) ??
    (fields['notBefore'] === undefined ? undefined : instantFault(fields, 'notBefore'))
  if (wrong !== undefined) return malformed(wrong)
  if (fields['notBefore'] !== undefined && !tokenKinds.includes(by.value.kind))
    return malformed(`notBefore goes with ${tokenKinds.join(', ')}, not with ${by.value.kind}.`)
  const { id, reason, actor, createdAt, expiresAt, notBefore } = fields as Record<string, string>
  return pass({
    id: id ?? '',
    by: by.value,
    reason: reason ?? '',
    actor: actor ?? '',
    createdAt: inUtc(createdAt ?? ''),
    ...(expiresAt === undefined ? {} : { expiresAt: inUtc(expiresAt) }),
    ...(notBefore === undefined ? {} : { notBefore: inUtc(notBefore) }),
  })
}

const textFault = (fields: Fields, name: string, maxChars: number): string | undefined => {
  const value = fields[name]
  if (typeof value !== 'string' || value.trim() === '') return `${name} is missing.`
  if (value.length > maxChars) return `${name} is longer than ${maxChars} characters.`
  return unprintable.test(value) ? `${name} has control characters in it.` : undefined
}

/** Nor what ends a line or turns its direction: this is read in logs and on terminals. */
const unprintable = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u

const instantFault = (fields: Fields, name: string): string | undefined => {
  const value = fields[name]
  return typeof value === 'string' && instant.test(value) && !Number.isNaN(Date.parse(value))
    ? undefined
    : `${name} must be an instant such as 2030-01-31T12:00:00Z.`
}

/** RFC 3339 §5.6, of which `Date` would take less and more. */
const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/

const inUtc = (text: string): string => isoTime(Date.parse(text))

const fieldsIn = (value: unknown, known: readonly string[]): Result<Fields> => {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return malformed('The body must be a JSON object.')
  for (const name of Object.keys(value))
    if (!known.includes(name))
      return malformed(`There is nothing named ${JSON.stringify(name.slice(0, 64))}.`)
  return pass(value as Fields)
}

const malformed = (detail: string) => refuse('request-malformed', { detail })
