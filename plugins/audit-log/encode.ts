import type { AuditEvent } from '#contract/audit-event'
import { scrub, scrubPath } from './scrub.ts'

/**
 * Makes the encoder of records: one line of JSON with its newline, as `JSON.stringify` would write it; `cause`, `detail`,
 * the path and the reason of a quarantine are scrubbed.
 *
 * Most of a record is the same for every request of a token: parts that are frozen are shared between records, and of each
 * the text is made once. What is left are a dozen short fields.
 */
export const eventEncoder = (): ((event: AuditEvent) => string) => {
  const texts = new WeakMap<object, string>()
  const shared = (part: object): string => {
    const known = texts.get(part)
    if (known !== undefined) return known
    const text = JSON.stringify(part)
    if (Object.isFrozen(part)) texts.set(part, text)
    return text
  }

  return (event) => {
    const { detail, cause, request, quarantine } = event
    let line = `{"version":${event.version},"kind":"${event.kind}","time":${quoted(event.time)}${text('traceId', event.traceId)},"decisionId":${quoted(event.decisionId)},"outcome":"${event.outcome}","step":${quoted(event.step)},"problem":"${event.problem}"`
    if (detail !== undefined) line += `,"detail":${JSON.stringify(scrub(detail))}`
    if (cause !== undefined) line += `,"cause":${JSON.stringify(scrub(cause))}`
    line += `,"status":${event.status}`
    if (event.grpcStatus !== undefined) line += `,"grpcStatus":${event.grpcStatus}`
    line += `,"durationMs":${event.durationMs},"bytesIn":${event.bytesIn},"bytesOut":${event.bytesOut}`
    if (event.door !== undefined) line += `,"door":"${event.door}"`
    if (request !== undefined) line += `,"request":${requestText(request)}`
    if (event.route !== undefined) line += `,"route":${shared(event.route)}`
    if (event.caller !== undefined) line += `,"caller":${shared(event.caller)}`
    line +=
      text('credential', event.credential) +
      text('spiffeId', event.spiffeId) +
      text('mapping', event.mapping) +
      text('mappingRevision', event.mappingRevision)
    if (event.quota !== undefined) line += `,"quota":${quotaText(event.quota)}`
    if (event.waf !== undefined) line += `,"waf":${JSON.stringify(event.waf)}`
    if (event.policy !== undefined) line += `,"policy":${shared(event.policy)}`
    if (event.minted !== undefined) line += `,"minted":${shared(event.minted)}`
    if (event.upstream !== undefined) line += `,"upstream":${shared(event.upstream)}`
    if (event.egress !== undefined) line += `,"egress":${JSON.stringify(event.egress)}`
    line += text('parent', event.parent) + text('client', event.client)
    if (event.asked !== undefined) line += `,"asked":${JSON.stringify(askedOf(event.asked))}`
    line += text('actor', event.actor) + text('grant', event.grant)
    if (quarantine !== undefined)
      line += `,"quarantine":${JSON.stringify({ ...quarantine, reason: scrub(quarantine.reason) })}`
    return `${line}${text('orderedBy', event.orderedBy)}}\n`
  }
}

/** The caller's own words. */
const askedOf = ({ tokenType, audience, scope }: NonNullable<AuditEvent['asked']>) => ({
  tokenType,
  audience: scrub(audience),
  ...(scope === undefined ? {} : { scope: scrub(scope) }),
})

const requestText = (request: NonNullable<AuditEvent['request']>): string => {
  const { method, host, path, protocol, address, tls, clientSpiffeId } = request
  const always = `"method":${quoted(method)},"host":${quoted(host)},"path":${quoted(scrubPath(path))},"protocol":${quoted(protocol)},"address":${quoted(address)}`
  return `{${always}${text('tls', tls)}${text('clientSpiffeId', clientSpiffeId)}}`
}

const quotaText = ({ limit, remaining, reportOnly }: NonNullable<AuditEvent['quota']>): string =>
  `{"limit":${limit},"remaining":${remaining}${reportOnly ? ',"reportOnly":true' : ''}}`

const text = (name: keyof AuditEvent | 'tls' | 'clientSpiffeId', value: string | undefined) =>
  value === undefined ? '' : `,"${name}":${quoted(value)}`

/** What JSON writes as it is. */
const plain = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/
const quoted = (value: string): string => (plain.test(value) ? `"${value}"` : JSON.stringify(value))

// What JSON leaves as it is and a terminal or an editor acts on: DEL and C1 controls, separators of lines and paragraphs,
// marks that turn the direction of text. JSON has them inside of strings only.
const actedOn = /[\x7f-\x9f\p{Zl}\p{Zp}\p{Bidi_Control}]/gu

const del = 0x7f

/** The bytes of encoded lines, in which every record is one line and says what it shows. */
export const bytesOf = (lines: string): Buffer => {
  const bytes = Buffer.from(lines)
  const isPlain = bytes.length === lines.length && !bytes.includes(del) // ASCII, as nearly all is
  return isPlain ? bytes : Buffer.from(lines.replace(actedOn, escape))
}

const escape = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
