import type { AuditEvent } from '#contract/audit-event'
import { inOnePiece } from '#contract/in-one-piece'
import { quoted } from '#contract/quoted'
import { twoGenerations } from '#contract/two-generations'
import { callerText, mintedText, text } from './part-texts.ts'
import { scrub, scrubPath } from './scrub.ts'

/**
 * Makes the encoder of records: one line of JSON with its newline, as `JSON.stringify` would write it; `cause`, `detail`,
 * the path and the reason of a quarantine are scrubbed.
 *
 * Most of a record is the same for every request of a token: what lasts stands side by side, and its text is made once. What
 * is left are a dozen short fields.
 */
export const eventEncoder = (): ((event: AuditEvent) => string) => {
  const lastingOf = lastingTexts()
  const scrubOf = scrubOnce()
  const [host, protocol, address, tls] = [last(quoted), last(quoted), last(quoted), last(quoted)]
  const [detailText, causeText] = [last(scrubbed), last(scrubbed)] // a flood is refused for one thing again and again

  const requestText = (request: NonNullable<AuditEvent['request']>): string => {
    const always = `"method":${quoted(request.method)},"host":${host(request.host)},"path":${quoted(scrubPath(request.path))},"protocol":${protocol(request.protocol)},"address":${address(request.address)}`
    const version = request.tls === undefined ? '' : `,"tls":${tls(request.tls)}`
    return `{${always}${version}${text('clientSpiffeId', request.clientSpiffeId)}}`
  }

  return (event) => {
    const { detail, cause, request, quarantine } = event
    let line = `{"version":${event.version},"kind":"${event.kind}","time":${quoted(event.time)}${text('traceId', event.traceId)},"decisionId":${quoted(event.decisionId)},"outcome":"${event.outcome}","step":${quoted(event.step)},"problem":"${event.problem}"`
    if (detail !== undefined) line += `,"detail":${detailText(detail)}`
    if (cause !== undefined) line += `,"cause":${causeText(cause)}`
    line += `,"status":${event.status}`
    if (event.grpcStatus !== undefined) line += `,"grpcStatus":${event.grpcStatus}`
    line += `,"durationMs":${thousandths(event.durationMs)},"bytesIn":${event.bytesIn},"bytesOut":${event.bytesOut}`
    if (event.door !== undefined) line += `,"door":"${event.door}"`
    if (request !== undefined) line += `,"request":${requestText(request)}`
    if (event.quota !== undefined) line += `,"quota":${quotaText(event.quota)}`
    line += lastingOf(event)
    if (event.waf !== undefined) line += `,"waf":${JSON.stringify(event.waf)}`
    if (event.egress !== undefined) line += `,"egress":${JSON.stringify(event.egress)}`
    line += text('parent', event.parent) + text('client', event.client)
    if (event.asked !== undefined)
      line += `,"asked":${JSON.stringify(askedOf(event.asked, scrubOf))}`
    line += text('actor', event.actor) + text('grant', event.grant)
    if (quarantine !== undefined)
      line += `,"quarantine":${JSON.stringify({ ...quarantine, reason: scrub(quarantine.reason) })}`
    return `${line}${text('orderedBy', event.orderedBy)}}\n`
  }
}

/** Who called and what was made of it, where it went and why it might. Parts that are frozen are shared between records. */
const lastingParts = ['route', 'caller', 'policy', 'minted', 'upstream'] as const
type LastingText = 'credential' | 'spiffeId' | 'mapping' | 'mappingRevision'
type Lasting = {
  readonly [Name in (typeof lastingParts)[number] | LastingText]?: AuditEvent[Name] | undefined
}

const lastingTexts = (): ((event: Lasting) => string) => {
  const texts = new WeakMap<object, string>()
  /** The last one of each caller who came again. */
  const lastOf = new WeakMap<object, { readonly of: Lasting; readonly text: string }>()

  const shared = <Name extends (typeof lastingParts)[number]>(
    name: Name,
    part: AuditEvent[Name],
    encode: (part: NonNullable<AuditEvent[Name]>) => string = JSON.stringify,
  ): string => {
    if (part === undefined) return ''
    const known = texts.get(part)
    if (known !== undefined) return known
    const made = `,"${name}":${encode(part)}`
    if (Object.isFrozen(part)) texts.set(part, made)
    return made
  }
  const textOf = (of: Lasting): string =>
    shared('route', of.route) +
    shared('caller', of.caller, callerText) +
    text('credential', of.credential) +
    text('spiffeId', of.spiffeId) +
    text('mapping', of.mapping) +
    text('mappingRevision', of.mappingRevision) +
    shared('policy', of.policy) +
    shared('minted', of.minted, mintedText) +
    shared('upstream', of.upstream)

  return (event) => {
    const { caller } = event
    if (caller === undefined) return textOf(event)
    const known = lastOf.get(caller)
    if (known !== undefined && lastsIn(known.of, event)) return known.text
    // Of a caller who comes but once nothing is kept.
    if (!texts.has(caller)) return textOf(event)
    const made = inOnePiece(textOf(event), 'utf8')
    if (lastingParts.every((name) => event[name] === undefined || Object.isFrozen(event[name])))
      lastOf.set(caller, { of: pick(event), text: made })
    return made
  }
}

const pick = (event: Lasting): Lasting => {
  const { route, credential, spiffeId, mapping, mappingRevision, policy, minted, upstream } = event
  return { route, credential, spiffeId, mapping, mappingRevision, policy, minted, upstream }
}

const lastsIn = (of: Lasting, event: Lasting): boolean =>
  of.route === event.route &&
  of.policy === event.policy &&
  of.minted === event.minted &&
  of.upstream === event.upstream &&
  of.spiffeId === event.spiffeId &&
  of.mapping === event.mapping &&
  of.mappingRevision === event.mappingRevision &&
  of.credential === event.credential

/** The caller's own words. */
const askedOf = (
  { tokenType, audience, scope }: NonNullable<AuditEvent['asked']>,
  scrubOf: (text: string) => string,
) => ({
  tokenType,
  audience: scrubOf(audience),
  ...(scope === undefined ? {} : { scope: scrubOf(scope) }),
})

const maxClean = 256
const maxCleanChars = 256

/** Scrubs texts of which most come again. Only of those with nothing to scrub any is remembered. */
const scrubOnce = (): ((text: string) => string) => {
  const clean = twoGenerations<true>(maxClean)
  return (text) => {
    if (clean.get(text)) return text
    const shown = scrub(text)
    if (shown === text && text.length <= maxCleanChars) clean.set(inOnePiece(text, 'utf8'), true)
    return shown
  }
}

const quotaText = ({ limit, remaining, reportOnly }: NonNullable<AuditEvent['quota']>): string =>
  `{"limit":${limit},"remaining":${remaining}${reportOnly ? ',"reportOnly":true' : ''}}`

const scrubbed = (value: string): string => JSON.stringify(scrub(value))

/** For a field that seldom changes from one record to the next. */
const last = (make: (value: string) => string): ((value: string) => string) => {
  let of = ''
  let made = make(of)
  return (value) => {
    if (value !== of) {
      of = value
      made = make(value)
    }
    return made
  }
}

/** What stands behind the point, for so many thousandths. */
const decimals = Array.from({ length: 1000 }, (_, count) => String(count / 1000).slice(1))
const maxThousandths = 1e9

/** A number of at most three decimals as JSON writes it, which V8 takes long for; any other as V8 does. */
const thousandths = (value: number): string => {
  const count = Math.round(value * 1000)
  if (count / 1000 !== value || count < 0 || count > maxThousandths) return String(value)
  const whole = (count / 1000) | 0
  return `${whole}${decimals[count - whole * 1000]}`
}

// What JSON leaves as it is and a terminal or an editor acts on: DEL and C1 controls, separators of lines and paragraphs,
// marks that turn the direction of text. JSON has them inside of strings only.
const actedOn = /[\x7f-\x9f\p{Zl}\p{Zp}\p{Bidi_Control}]/gu

const del = 0x7f

/**
 * Lines of which every record is one line and says what it shows.
 *
 * @param chars Characters that the bytes were written from: as many as there are bytes, if all are ASCII, as nearly all is.
 */
export const shownAsTheyAre = (bytes: Buffer, chars: number): Buffer => {
  if (bytes.length === chars && !bytes.includes(del)) return bytes
  return Buffer.from(bytes.toString().replace(actedOn, escape))
}

const escape = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
