/** A request read from bytes, however broken. All text is latin1. */
export type RawRequest = {
  readonly method: string
  readonly target: string
  readonly protocol: string
  readonly headers: readonly string[]
  readonly body: string
  /** Why an HTTP server answers 400 before any rule runs; undefined if it does not. */
  readonly fault: string | undefined
}

/** Reads a request as tolerantly as it can, so that rules see what no strict server would let through. */
export const parseRequest = (raw: string): RawRequest => {
  const end = /\r?\n\r?\n/.exec(raw)
  const head = end ? raw.slice(0, end.index) : raw
  const rest = end ? raw.slice(end.index + end[0].length) : ''
  const [line = '', ...lines] = head.split(/\r?\n/)
  const { method, target, protocol } = splitLine(line)
  const headers: string[] = []
  let folded = false
  for (const text of lines) {
    const colon = text.indexOf(':')
    if (/^[ \t]/.test(text) && headers.length > 0) {
      folded = true
      headers[headers.length - 1] += ` ${text.trim()}`
    } else if (colon >= 0) headers.push(text.slice(0, colon), trimBlanks(text.slice(colon + 1)))
    else if (text !== '') headers.push(text, '')
  }
  const body = bodyOf(headers, rest)
  const fault = folded ? 'a folded header' : faultOf(line, method, target, protocol, headers)
  return { method, target, protocol, headers, body, fault }
}

const trimBlanks = (text: string): string => text.replace(/^[ \t]+/, '').replace(/[ \t]+$/, '')

const splitLine = (line: string) => {
  const first = line.indexOf(' ')
  const last = line.lastIndexOf(' ')
  if (first < 0) return { method: line, target: '', protocol: '' }
  if (first === last)
    return { method: line.slice(0, first), target: line.slice(first + 1), protocol: '' }
  return {
    method: line.slice(0, first),
    target: line.slice(first + 1, last),
    protocol: line.slice(last + 1),
  }
}

const valuesOf = (headers: readonly string[], name: string): readonly string[] =>
  headers.filter((_, i) => i % 2 === 1 && headers[i - 1]?.toLowerCase() === name)

const bodyOf = (headers: readonly string[], rest: string): string => {
  if (valuesOf(headers, 'transfer-encoding').some((value) => /chunked/i.test(value)))
    return dechunk(rest)
  const [length] = valuesOf(headers, 'content-length')
  // Without a length there is no body (RFC 9112 §6.3).
  if (length === undefined) return ''
  return /^\d+$/.test(length) ? rest.slice(0, Number(length)) : rest
}

const dechunk = (text: string): string => {
  let out = ''
  for (let at = 0; at < text.length;) {
    const size = /([0-9A-Fa-f]+)[^\r\n]*\r?\n/y
    size.lastIndex = at
    const found = size.exec(text)
    const bytes = found ? Number.parseInt(found[1] ?? '0', 16) : 0
    if (bytes === 0) return out
    out += text.slice(size.lastIndex, size.lastIndex + bytes)
    at = size.lastIndex + bytes + 2
  }
  return out
}

/** What the gateway's HTTP side refuses by itself (RFC 9112 §3, §5, §6; RFC 9110 §7.2). */
const faultOf = (
  line: string,
  method: string,
  target: string,
  protocol: string,
  headers: readonly string[],
): string | undefined => {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(method)) return 'no method'
  if (!/^[!-~]+$/.test(target)) return 'no target'
  if (target.includes('#') || /[\\"<>^`{|}]/.test(target))
    return 'bytes that do not belong in a target'
  if (method === 'CONNECT' || !/^(?:\/|\*$|https?:)/.test(target)) return 'a target of another form'
  if (!/^HTTP\/1\.[01]$/.test(protocol)) return `not HTTP/1: ${line.slice(-20)}`
  const hosts = valuesOf(headers, 'host')
  if (hosts.length !== 1 || !/^[A-Za-z0-9._:[\]-]+$/.test(hosts[0] ?? '')) return 'no host'
  if (valuesOf(headers, 'content-length').some((value) => !/^\d+$/.test(value)))
    return 'a Content-Length that is no number'
  for (let i = 0; i < headers.length; i += 2)
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(headers[i] ?? '')) return 'a bad header name'
  return headers.some((text) => /[\0\r\n]/.test(text)) ? 'control bytes in a header' : undefined
}
