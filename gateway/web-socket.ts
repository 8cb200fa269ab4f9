import { createHash } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { pass, refuse, type ProblemTag, type Result } from '#contract/problem'
import type { Inspection } from '#contract/inspection'
import { headerOf, type RequestHead } from '#contract/request-head'

const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** 16 bytes in base64. */
const keyPattern = /^[A-Za-z0-9+/]{22}==$/

/** Whether a request to upgrade has the key of a handshake (RFC 6455 §4.1). Which version is spoken the service says. */
export const hasWebSocketKey = (head: RequestHead): boolean =>
  keyPattern.test(headerOf(head, 'sec-websocket-key') ?? '')

/**
 * A 101 is worth something only from one who has read the key; and the firewall may have a say.
 *
 * @returns Refuses with `broken`, or as the firewall does.
 * @see RFC 6455 §4.1
 */
export const admitUpgrade = async (
  head: RequestHead,
  headers: readonly string[],
  inspection: Inspection | undefined,
  broken: ProblemTag,
): Promise<Result<unknown>> => {
  const key = headerOf(head, 'sec-websocket-key') ?? ''
  const accepted = createHash('sha1').update(`${key}${guid}`).digest('base64')
  if (headerOf({ headers }, 'sec-websocket-accept') !== accepted)
    return refuse(broken, { cause: 'its 101 does not answer the key (RFC 6455 §4.1)' })
  return inspection?.answers ? inspection.head(101, headers) : pass(undefined)
}

/** The caller's 101. Headers have passed the upstream client's parser and hold no line break. */
export const switchingProtocols = (headers: readonly string[]): Buffer => {
  let text = 'HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n'
  for (let i = 0; i + 1 < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`
  return Buffer.from(`${text}\r\n`, 'latin1')
}

/**
 * Reads while the handshake is under way: only so is it noticed that the caller leaves. Whatever else comes is too early
 * (Envoy CVE-2026-73548).
 */
export const watchForEarlyData = (
  caller: Duplex,
  tooEarly: () => void,
): { readonly stop: () => void } => {
  const read = () => {
    if (caller.read() !== null) tooEarly()
  }
  const gone = () => caller.destroy()
  caller.on('readable', read).on('end', gone)
  return { stop: () => void caller.off('readable', read).off('end', gone) }
}
