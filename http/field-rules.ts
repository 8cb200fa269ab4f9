/** What a field may look like, by the rules of HTTP/2: stricter than the RFC where a lenient peer would be the one to suffer. */

const token = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/
const pseudo = /^:[a-z-]+$/
const text = /^[\t\x20-\x7e\x80-\xff]*$/

/** Fields that speak of an HTTP/1.1 connection; a message with one is malformed (RFC 9113 §8.2.2). */
const connectionSpecific = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])

/** In lower case (RFC 9110 §5.6.2). */
export const isToken = (name: string): boolean => token.test(name)

/** Lower-case token (RFC 9113 §8.2.1), and nothing that speaks of an HTTP/1.1 connection. */
export const isFieldName = (name: string): boolean =>
  token.test(name) && !connectionSpecific.has(name)

export const isPseudoName = (name: string): boolean => pseudo.test(name)

const space = 0x20
const tab = 0x09
const isBlank = (code: number) => code === space || code === tab

/** No control characters, no white space at either end (RFC 9113 §8.2.1, RFC 9110 §5.5). */
export const isFieldValue = (value: string): boolean =>
  value.length === 0 ||
  (text.test(value) &&
    !isBlank(value.charCodeAt(0)) &&
    !isBlank(value.charCodeAt(value.length - 1)))

const length = /^[0-9]{1,15}$/
/** The number in a Content-Length; -1 if it is none, or is not one that can be counted exactly. */
export const contentLengthOf = (value: string): number => (length.test(value) ? Number(value) : -1)
