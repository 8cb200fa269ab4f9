import { pass, refuse, type Result } from '#contract/problem'
import { authorityText, parseAuthority, type Authority } from './authority.ts'
import { headerTable, type HeaderTableOptions } from './header-table.ts'
import { connectionOptions, withoutNames } from './hop-by-hop.ts'

export type ReadHeaders = {
  readonly authority: Authority
  /** Flat: lower-case names, what is left of them. */
  readonly headers: readonly string[]
  readonly upgrade: 'none' | 'websocket' | 'other'
  readonly hasBody: boolean
  readonly isChunked: boolean
}

/**
 * Makes the reader of a request's headers: one pass, with a switch on what each is for.
 *
 * @returns A function of `rawHeaders` that refuses with `host-invalid`, `header-invalid`, `header-repeated` or
 *   `expectation-failed`.
 */
export const headerReader = (options: HeaderTableOptions) => {
  const entryOf = headerTable(options)
  const authorityOf = lastOneKept(parseAuthority)

  /** Takes away what Connection names. It must not name what decisions rest on (Traefik CVE-2024-45410). */
  const nominate = (values: readonly string[], headers: readonly string[]) => {
    const names: string[] = []
    for (const value of values) {
      const options = connectionOptions(value)
      if (options === undefined) return headerInvalid('connection')
      names.push(...options)
    }
    for (const name of names) if (entryOf(name).isProtected) return headerInvalid('connection')
    return pass({ headers: withoutNames(headers, names), asksToUpgrade: names.includes('upgrade') })
  }

  return (raw: readonly string[]): Result<ReadHeaders> => {
    const headers: string[] = []
    const seen: string[] = []
    let authority: Authority | undefined
    let connection: string[] | undefined
    let upgrade: string | undefined
    let isChunked = false
    let hasLength = false

    for (let i = 0; i + 1 < raw.length; i += 2) {
      const entry = entryOf(raw[i] ?? '')
      const { name, use } = entry
      const value = raw[i + 1] ?? ''
      if (use === 'keep') {
        headers.push(name, value)
        continue
      }
      if (use === 'drop') continue
      if (use === 'refuse') return headerInvalid(name)
      if (use === 'connection') {
        if (!isPlainConnection(value)) (connection ??= []).push(value)
        continue
      }
      if (seen.includes(name)) return repeated(name)
      seen.push(name)
      switch (use) {
        case 'drop-single':
          break
        case 'cookie':
          headers.push(name, value)
          break
        case 'single':
          if (!isAscii(value)) return headerInvalid(name)
          headers.push(name, value)
          break
        case 'host':
          authority = authorityOf(value)
          if (authority === undefined) return refuse('host-invalid')
          headers.push(name, authorityText(authority))
          break
        case 'content-length':
          if (!contentLength.test(value)) return headerInvalid(name)
          hasLength = value !== '0'
          headers.push(name, value)
          break
        case 'transfer-encoding':
          if (value.toLowerCase() !== 'chunked') return headerInvalid(name)
          isChunked = true
          break
        case 'expect':
          if (value.toLowerCase() !== '100-continue') return refuse('expectation-failed')
          break
        case 'upgrade':
          upgrade = value
          break
        default:
          return use satisfies never
      }
    }
    if (authority === undefined) return refuse('host-invalid', { detail: 'There is no Host.' })
    const hasBody = isChunked || hasLength
    const plain = { authority, headers, upgrade: 'none', hasBody, isChunked } as const
    if (connection === undefined && upgrade === undefined) return pass(plain)
    const nominated = nominate(connection ?? [], headers)
    if (!nominated.ok) return nominated
    // Without its Connection option it asks for nothing (RFC 9110 §7.8), yet it might mislead someone behind us.
    if (upgrade !== undefined && !nominated.value.asksToUpgrade) return headerInvalid('upgrade')
    return pass({ ...plain, headers: nominated.value.headers, upgrade: upgradeTo(upgrade) })
  }
}

const upgradeTo = (value: string | undefined): ReadHeaders['upgrade'] => {
  if (value === undefined) return 'none'
  return value.toLowerCase() === 'websocket' ? 'websocket' : 'other'
}

const maxNameTold = 100
const headerInvalid = (name: string) =>
  refuse('header-invalid', { detail: name.slice(0, maxNameTold) })
const repeated = (name: string) =>
  name === 'host'
    ? refuse('host-invalid', { detail: 'There is more than one Host.' })
    : refuse('header-repeated', { detail: name.slice(0, maxNameTold) })

/** No leading zero, and a number that JavaScript holds exactly. */
const contentLength = /^(?:0|[1-9]\d{0,14})$/

const isPlainConnection = (value: string): boolean =>
  value === 'keep-alive' || value === 'close' || value === 'Keep-Alive'

/** Values are latin1, so a byte that is not ASCII takes two in UTF-8. The parser refused all controls but tab. */
const isAscii = (value: string): boolean => Buffer.byteLength(value, 'utf8') === value.length

/** A caller asks for the same host again and again: the last result is kept. */
const lastOneKept = <T>(parse: (text: string) => T): ((text: string) => T) => {
  let lastText: string | undefined
  let last: T
  return (text) => {
    if (text !== lastText) {
      last = parse(text)
      lastText = text
    }
    return last
  }
}
