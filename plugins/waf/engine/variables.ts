import { entriesOf, namesOf, noEntries, type Entries } from './entries.ts'
import type { MultipartFlags } from '../bodies/body.ts'
import type { State } from './state.ts'

/**
 * How a variable is read. `stable` ones do not change while a phase runs, so that their values can be judged before
 * its first rule; a variable that a rule of the same phase may change is not.
 */
export type Variable =
  | {
      readonly kind: 'collection'
      readonly stable: boolean
      readonly read: (state: State) => Entries
    }
  | {
      readonly kind: 'scalar'
      readonly stable: boolean
      /** Undefined: not there, so no operator runs. */
      readonly read: (state: State) => string | undefined
    }

const collection = (read: (state: State) => Entries): Variable => ({
  kind: 'collection',
  stable: true,
  read,
})
const scalar = (read: (state: State) => string | undefined): Variable => ({
  kind: 'scalar',
  stable: true,
  read,
})
const changing = (variable: Variable): Variable => ({ ...variable, stable: false })
const flag = (set: boolean): string => (set ? '1' : '0')
const multipart = (read: (flags: MultipartFlags) => boolean): Variable =>
  scalar(({ body }) => flag(body.multipart !== undefined && read(body.multipart)))
const time = (read: (date: Date) => number | string, width = 2): Variable =>
  scalar(({ request }) => String(read(dateOf(request.input.nowMs))).padStart(width, '0'))
// oxlint-disable-next-line no-restricted-globals -- turns an instant that was given into a calendar; reads no clock
const dateOf = (ms: number): Date => new Date(ms)

/** Stores that rules write. */
const written = (name: string): Variable =>
  changing(collection(({ collections }) => collections.get(name)?.select() ?? noEntries))

const matchedEntries = (value: (matched: { name: string; value: string }) => string) =>
  changing(
    collection(({ matchedVars }) =>
      entriesOf(
        matchedVars.map(({ name }) => name),
        matchedVars.map(value),
      ),
    ),
  )

const table: Readonly<Record<string, Variable>> = {
  ARGS: collection(({ args }) => args),
  ARGS_COMBINED_SIZE: scalar(({ argsCombinedSize }) => String(argsCombinedSize)),
  ARGS_GET: collection(({ request }) => request.argsGet),
  ARGS_GET_NAMES: collection(({ request }) => namesOf(request.argsGet)),
  ARGS_NAMES: collection(({ argNames }) => argNames),
  ARGS_POST: collection(({ body }) => body.args),
  ARGS_POST_NAMES: collection(({ body }) => namesOf(body.args)),
  AUTH_TYPE: scalar(({ request }) => headerOf(request.headers, 'authorization')?.split(' ', 1)[0]),
  DURATION: changing(
    scalar(({ startedMs }) => String(Math.round((performance.now() - startedMs) * 1000))),
  ),
  ENV: written('ENV'),
  FILES: collection(({ body }) => body.files),
  FILES_COMBINED_SIZE: scalar(({ body }) => String(body.filesCombinedSize)),
  FILES_NAMES: collection(({ body }) => body.fileNames),
  FILES_SIZES: collection(({ body }) => body.fileSizes),
  FILES_TMP_CONTENT: collection(({ body }) => body.fileContents),
  FULL_REQUEST: scalar((state) => fullRequest(state)),
  FULL_REQUEST_LENGTH: scalar((state) => String(fullRequest(state).length)),
  GEO: changing(collection(({ geo }) => geo)),
  GLOBAL: written('GLOBAL'),
  HIGHEST_SEVERITY: changing(scalar(({ highestSeverity }) => String(highestSeverity))),
  INBOUND_DATA_ERROR: scalar(({ requestBodyOverLimit }) => flag(requestBodyOverLimit)),
  IP: written('IP'),
  MATCHED_VAR: changing(scalar(({ matchedVar }) => matchedVar?.value)),
  MATCHED_VARS: matchedEntries(({ value }) => value),
  MATCHED_VARS_NAMES: matchedEntries(({ name }) => name),
  MATCHED_VAR_NAME: changing(scalar(({ matchedVar }) => matchedVar?.name)),
  MODSEC_BUILD: scalar(() => '020900000'),
  MULTIPART_BOUNDARY_QUOTED: multipart((flags) => flags.boundaryQuoted),
  MULTIPART_BOUNDARY_WHITESPACE: multipart((flags) => flags.boundaryWhitespace),
  MULTIPART_CRLF_LF_LINES: multipart((flags) => flags.crlfLfLines),
  MULTIPART_DATA_AFTER: multipart((flags) => flags.dataAfter),
  MULTIPART_DATA_BEFORE: multipart((flags) => flags.dataBefore),
  MULTIPART_FILE_LIMIT_EXCEEDED: multipart((flags) => flags.fileLimitExceeded),
  MULTIPART_HEADER_FOLDING: multipart((flags) => flags.headerFolding),
  MULTIPART_INVALID_HEADER_FOLDING: multipart((flags) => flags.invalidHeaderFolding),
  MULTIPART_INVALID_PART: multipart((flags) => flags.invalidPart),
  MULTIPART_INVALID_QUOTING: multipart((flags) => flags.invalidQuoting),
  MULTIPART_LF_LINE: multipart((flags) => flags.lfLine),
  MULTIPART_MISSING_SEMICOLON: multipart((flags) => flags.missingSemicolon),
  MULTIPART_PART_HEADERS: collection(({ body }) => body.partHeaders),
  MULTIPART_SEMICOLON_MISSING: multipart((flags) => flags.missingSemicolon),
  MULTIPART_STRICT_ERROR: scalar(({ body }) => flag(body.multipartStrictError)),
  MULTIPART_UNMATCHED_BOUNDARY: scalar(({ body }) =>
    String(body.multipart?.unmatchedBoundary ?? 0),
  ),
  OUTBOUND_DATA_ERROR: scalar(({ responseBodyOverLimit }) => flag(responseBodyOverLimit)),
  PATH_INFO: scalar(({ request }) => request.filename),
  QUERY_STRING: scalar(({ request }) => request.queryString),
  REMOTE_ADDR: scalar(({ request }) => request.input.remoteAddress),
  REMOTE_HOST: scalar(({ request }) => request.input.remoteAddress),
  REMOTE_PORT: scalar(({ request }) => String(request.input.remotePort ?? 0)),
  REMOTE_USER: scalar(() => undefined),
  REQBODY_ERROR: scalar(({ body }) => flag(body.error !== undefined)),
  REQBODY_ERROR_MSG: scalar(({ body }) => body.error ?? ''),
  REQBODY_PROCESSOR: changing(scalar(({ bodyProcessor }) => bodyProcessor)),
  REQBODY_PROCESSOR_ERROR: scalar(({ body }) => flag(body.error !== undefined)),
  REQBODY_PROCESSOR_ERROR_MSG: scalar(({ body }) => body.error ?? ''),
  REQUEST_BASENAME: scalar(({ request }) => request.basename),
  REQUEST_BODY: scalar(({ body }) => body.text),
  REQUEST_BODY_LENGTH: scalar(({ body }) => String(body.length)),
  REQUEST_COOKIES: collection(({ request }) => request.cookies),
  REQUEST_COOKIES_NAMES: collection(({ request }) => request.cookieNames),
  REQUEST_FILENAME: scalar(({ request }) => request.filename),
  REQUEST_HEADERS: collection(({ request }) => request.headers),
  REQUEST_HEADERS_NAMES: collection(({ request }) => request.headerNames),
  REQUEST_LINE: scalar(({ request }) => request.line),
  REQUEST_METHOD: scalar(({ request }) => request.input.method),
  REQUEST_PROTOCOL: scalar(({ request }) => request.input.protocol),
  REQUEST_URI: scalar(({ request }) => request.uri),
  REQUEST_URI_RAW: scalar(({ request }) => request.input.target),
  RESOURCE: written('RESOURCE'),
  RESPONSE_BODY: scalar(({ response }) => response.body),
  RESPONSE_CONTENT_LENGTH: scalar(({ response }) => String(response.bodyLength)),
  RESPONSE_CONTENT_TYPE: scalar(({ response }) => response.contentType),
  RESPONSE_HEADERS: collection(({ response }) => response.headers),
  RESPONSE_HEADERS_NAMES: collection(({ response }) => response.headerNames),
  RESPONSE_PROTOCOL: scalar(({ response }) => response.protocol),
  RESPONSE_STATUS: scalar(({ response }) => String(response.status)),
  RULE: changing(
    collection(({ rule }) =>
      rule === undefined
        ? noEntries
        : entriesOf(['id', 'msg', 'severity'], [String(rule.id), rule.message, rule.severity]),
    ),
  ),
  SERVER_ADDR: scalar(({ request }) => request.input.serverAddress ?? ''),
  SERVER_NAME: scalar(({ request }) => hostOf(request.headers)),
  SERVER_PORT: scalar(({ request }) => String(request.input.serverPort ?? 0)),
  SESSION: written('SESSION'),
  SESSIONID: changing(scalar(({ collections }) => collections.get('SESSION')?.get('key') ?? '')),
  STATUS_LINE: scalar(({ response }) => `${response.protocol} ${response.status}`),
  TIME: time((date) => date.toISOString().slice(11, 19)),
  TIME_DAY: time((date) => date.getUTCDate(), 1),
  TIME_EPOCH: scalar(({ request }) => String(Math.floor(request.input.nowMs / 1000))),
  TIME_HOUR: time((date) => date.getUTCHours()),
  TIME_MIN: time((date) => date.getUTCMinutes()),
  TIME_MON: time((date) => date.getUTCMonth(), 1),
  TIME_SEC: time((date) => date.getUTCSeconds()),
  TIME_WDAY: time((date) => date.getUTCDay(), 1),
  TIME_YEAR: time((date) => date.getUTCFullYear(), 4),
  TX: changing(collection(({ tx }) => tx.select())),
  UNIQUE_ID: scalar(({ request }) => request.input.uniqueId),
  URLENCODED_ERROR: scalar(({ request, body }) =>
    flag(request.invalidQueryEncoding || body.invalidEncoding),
  ),
  USER: written('USER'),
  USERID: changing(scalar(({ collections }) => collections.get('USER')?.get('key') ?? '')),
  WEBAPPID: scalar(() => ''),
  WEBSERVER_ERROR_LOG: scalar(() => undefined),
  XML: collection(({ body }) => body.xml),
  XML_ATTRIBUTES: collection(({ body }) => body.xmlAttributes),
}

const writable = new Set(['TX', 'IP', 'GLOBAL', 'SESSION', 'USER', 'RESOURCE', 'ENV'])

/** Whether rules can write it with `setvar`. */
export const isWritable = (name: string): boolean => writable.has(name)
export const findVariable = (name: string): Variable | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined
export const isVariable = (name: string): boolean => Object.hasOwn(table, name)
export const isCollection = (name: string): boolean => findVariable(name)?.kind === 'collection'
export const variableNames: readonly string[] = Object.keys(table)

const headerOf = (headers: Entries, key: string): string | undefined => {
  const at = headers.keys.indexOf(key)
  return at < 0 ? undefined : headers.values[at]
}
const hostOf = (headers: Entries): string => (headerOf(headers, 'host') ?? '').replace(/:\d*$/, '')

const fullRequest = ({ request, body }: State): string => {
  const headers = request.headers.names.map((name, i) => `${name}: ${request.headers.values[i]}\n`)
  return `${request.line}\n${headers.join('')}\n${body.text ?? ''}`
}
