import { setImmediate as nextTurn } from 'node:timers/promises'
import { defaultBodyLimits, type BodyLimits } from '../bodies/body.ts'
import type { Phase } from '../seclang/syntax.ts'
import { noBody } from './body-facts.ts'
import {
  cutValues,
  entriesOfFlat,
  joinEntries,
  namesOf,
  noEntries,
  type Entries,
} from './entries.ts'
import { processBody, processorFor } from './process-body.ts'
import type { Program } from './program.ts'
import { readRequest, type RequestInput } from './request.ts'
import { startPhase } from './run-phase.ts'
import type { State } from './state.ts'
import { makeStore } from './store.ts'

/** A value now, or later: later only if the rules would have kept other requests waiting. */
type Soon<T> = T | Promise<T>

/**
 * One request on its way through the rules. Call the phases in order, each once; one that a decision made needless
 * does nothing. What came of it stands in `state`.
 */
export type Transaction = {
  readonly state: State
  /** Phase 1. */
  readonly requestHead: () => Soon<void>
  /** Parses the body, before phase 2. `whole`: nothing of it is missing. */
  readonly readBody: (body: Buffer, whole: boolean) => Soon<void>
  /** Phase 2, which must run without a body too. */
  readonly requestBody: () => Soon<void>
  /** Phase 3. Headers are name, value, name, value … */
  readonly responseHead: (
    status: number,
    headers: readonly string[],
    protocol?: string,
  ) => Soon<void>
  /** Whether phase 4 wants to see the body of this answer. */
  readonly wantsResponseBody: () => boolean
  /** Phase 4. */
  readonly responseBody: (body: Buffer | undefined, whole: boolean) => Soon<void>
  /** Phase 5. */
  readonly end: () => Soon<void>
}

/** Bounds on what rules look at. */
export type TransactionBounds = {
  readonly limits?: BodyLimits
  /** Longer values are cut to this before any rule sees them. */
  readonly maxValueBytes?: number
}
const defaultMaxValueBytes = 65_536

/** How long rules may run before others have a turn. */
const sliceMs = 3

export const beginTransaction = (
  program: Program,
  input: RequestInput,
  { limits = limitsOf(program), maxValueBytes = defaultMaxValueBytes }: TransactionBounds = {},
): Transaction => {
  const state = newState(program, input, limits, maxValueBytes)
  const contentType = headerOf(state, 'content-type') ?? ''
  const run = (phase: Phase): Soon<void> => {
    const phaseProgram = program.phases.get(phase)
    return phaseProgram ? drive(startPhase(phaseProgram, phase, state)) : undefined
  }
  return {
    state,
    requestHead: () => {
      state.bodyProcessor = processorFor(contentType)
      return run(1)
    },
    readBody: (body, whole) => {
      const running = readBody(state, body, whole, contentType, limits, maxValueBytes)
      return drive({
        advance: (isLate) => {
          while (running.next().done !== true) if (isLate()) return false
          return true
        },
      })
    },
    requestBody: () => run(2),
    responseHead: (status, headers, protocol = 'HTTP/1.1') => {
      const entries = entriesOfFlat(headers)
      const at = entries.keys.indexOf('content-type')
      state.response = {
        status,
        protocol,
        headers: entries,
        headerNames: namesOf(entries),
        contentType: entries.values[at] ?? '',
        body: undefined,
        bodyLength: 0,
      }
      return run(3)
    },
    wantsResponseBody: () => wantsResponseBody(program, state),
    responseBody: (body, whole) => {
      if (body && wantsResponseBody(program, state)) {
        const limit = state.responseBodyLimit
        const text = body.toString('latin1', 0, limit)
        state.responseBodyOverLimit = body.length > limit || !whole
        state.response = { ...state.response, body: text, bodyLength: body.length }
      }
      return run(4)
    },
    end: () => run(5),
  }
}

export const limitsOf = ({ settings }: Program): BodyLimits => ({
  ...defaultBodyLimits,
  maxArguments: settings.argumentsLimit,
  maxDepth: settings.jsonDepthLimit,
  maxFiles: settings.uploadFileLimit,
})

/** What is done in slices: says whether it is done, or what it has to wait for. */
type Sliced = { readonly advance: (isLate: () => boolean) => boolean | Promise<void> }

const drive = (run: Sliced): Soon<void> => {
  const until = performance.now() + sliceMs
  const done = run.advance(() => performance.now() > until)
  return done === true ? undefined : driveOn(run, done)
}
const driveOn = async (run: Sliced, first: false | Promise<void>): Promise<void> => {
  for (let done: boolean | Promise<void> = first; done !== true;) {
    await (done === false ? nextTurn() : done)
    const until = performance.now() + sliceMs
    done = run.advance(() => performance.now() > until)
  }
}

const readBody = function* (
  state: State,
  body: Buffer,
  whole: boolean,
  contentType: string,
  limits: BodyLimits,
  maxValueBytes: number,
): Generator<undefined, void> {
  if (body.length === 0 || !state.requestBodyAccess || state.mode === 'Off') return
  state.requestBodyOverLimit = body.length > state.requestBodyLimit || !whole
  const text = body.toString('latin1', 0, state.requestBodyLimit)
  const parsed = yield* processBody(state, text, contentType, limits)
  // Files' contents are looked at by rules that ask for them only, and are as long as files are.
  const bounded = (entries: Entries): Entries => {
    noteLength(state, entries)
    return cutValues(entries, maxValueBytes)
  }
  state.body = {
    ...parsed,
    args: bounded(parsed.args),
    files: bounded(parsed.files),
    fileNames: bounded(parsed.fileNames),
    xml: bounded(parsed.xml),
    xmlAttributes: bounded(parsed.xmlAttributes),
    partHeaders: bounded(parsed.partHeaders),
  }
  const { args } = state.body
  if (args.names.length === 0) return
  state.args = joinEntries(state.request.argsGet, args)
  state.argNames = namesOf(state.args)
  state.argsCombinedSize = combinedSize(state.args)
}

/** Names are values, too: of ARGS_NAMES and its like. */
const noteLength = (state: State, { names, values }: Entries): void => {
  for (const list of [names, values])
    for (const { length } of list)
      if (length > state.longestValueBytes) state.longestValueBytes = length
}

const combinedSize = ({
  names,
  values,
}: {
  names: readonly string[]
  values: readonly string[]
}) => {
  let size = 0
  for (let i = 0; i < names.length; i++) size += (names[i]?.length ?? 0) + (values[i]?.length ?? 0)
  return size
}

const wantsResponseBody = ({ settings }: Program, state: State): boolean => {
  if (!state.responseBodyAccess || state.mode === 'Off' || state.interruption) return false
  const type = (state.response.contentType.split(';', 1)[0] ?? '').trim().toLowerCase()
  return settings.responseBodyMimeTypes.includes(type)
}

const headerOf = (state: State, key: string): string | undefined => {
  const { keys, values } = state.request.headers
  const at = keys.indexOf(key)
  return at < 0 ? undefined : values[at]
}

const noResponse = Object.freeze({
  status: 0,
  protocol: '',
  headers: noEntries,
  headerNames: noEntries,
  contentType: '',
  body: undefined,
  bodyLength: 0,
})

const newState = (
  { settings, tx, kept }: Program,
  input: RequestInput,
  limits: BodyLimits,
  maxValueBytes: number,
): State => {
  const asSent = readRequest(input, limits)
  const request = {
    ...asSent,
    headers: cutValues(asSent.headers, maxValueBytes),
    cookies: cutValues(asSent.cookies, maxValueBytes),
    argsGet: cutValues(asSent.argsGet, maxValueBytes),
  }
  const state: State = {
    request,
    startedMs: performance.now(),
    body: noBody,
    response: noResponse,
    mode: settings.mode,
    bodyProcessor: '',
    forceRequestBodyVariable: false,
    requestBodyAccess: settings.requestBodyAccess,
    responseBodyAccess: settings.responseBodyAccess,
    requestBodyLimit: settings.requestBodyLimit,
    responseBodyLimit: settings.responseBodyLimit,
    requestBodyOverLimit: false,
    responseBodyOverLimit: false,
    args: request.argsGet,
    argNames: namesOf(request.argsGet),
    argsCombinedSize: combinedSize(request.argsGet),
    tx: makeStore(tx),
    collections: new Map(),
    kept,
    geo: noEntries,
    waiting: undefined,
    matchedVar: undefined,
    matchedVars: [],
    removals: [],
    highestSeverity: 255,
    matches: [],
    droppedMatches: 0,
    interruption: undefined,
    detection: undefined,
    allowed: undefined,
    phase: 0,
    rule: undefined,
    longestValueBytes: 0,
  }
  noteLength(state, asSent.headers)
  noteLength(state, asSent.argsGet)
  return state
}
