import type { Stage } from './read-tests.ts'

const formType = 'application/x-www-form-urlencoded'

/** The bytes that go-ftw would send for a stage, as latin1. */
export const buildRequest = ({ input }: Stage): string => {
  if (input.encoded_request) return Buffer.from(input.encoded_request, 'base64').toString('latin1')
  const { method = 'GET', uri = '/', version = 'HTTP/1.1' } = input
  const autocomplete = input.autocomplete_headers !== false
  const headers = new Map(
    Object.entries(input.headers ?? {}).map(([name, value]) => [name, String(value)]),
  )
  const has = (name: string) => [...headers.keys()].some((known) => known.toLowerCase() === name)
  const valueOf = (name: string) =>
    [...headers].find(([known]) => known.toLowerCase() === name)?.[1] ?? ''
  let data = expandTemplate(input.data ?? '')
  if (data !== '' && autocomplete) {
    if (!has('content-type')) headers.set('Content-Type', formType)
    if (valueOf('content-type') === formType) data = encodeForm(data)
  }
  if (valueOf('content-type').includes('multipart/form-data;'))
    data = data.replace(/\r?\n/g, '\r\n')
  const bytes = Buffer.from(data, 'utf8')
  if (autocomplete) {
    if (!has('connection')) headers.set('Connection', 'close')
    // go-ftw's own pattern, sloppy as it is: it anchors only its ends.
    if (!has('content-length') && (bytes.length > 0 || /^POST|PUT|PATCH|DELETE$/.test(method)))
      headers.set('Content-Length', String(bytes.length))
  }
  const head = [...headers].map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const line = version === '' ? `${method} ${uri}` : `${method} ${uri} ${version}`
  return Buffer.from(`${line}\r\n${head}\r\n`, 'utf8').toString('latin1') + bytes.toString('latin1')
}

/** Of Go's templates the one thing that the tests use: `{{ "1" | repeat 100 }}`. */
const expandTemplate = (text: string): string =>
  text.replace(/\{\{\s*"([^"]*)"\s*\|\s*repeat\s+(\d+)\s*\}\}/g, (_, unit: string, times: string) =>
    unit.repeat(Number(times)),
  )

/** Encodes a form that is not encoded yet, as Go's `url.QueryEscape` would. */
const encodeForm = (data: string): string => {
  if (/[%+]/.test(data)) return data
  return data
    .split('&')
    .map((pair) => {
      const at = pair.indexOf('=')
      return at < 0 ? escape(pair) : `${escape(pair.slice(0, at))}=${escape(pair.slice(at + 1))}`
    })
    .join('&')
}
const escape = (text: string): string =>
  encodeURIComponent(text)
    .replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+')
