import type { BodyLimits, ParsedBody } from '../bodies/body.ts'
import { guessSteps } from '../bodies/guess.ts'
import { jsonSteps } from '../bodies/json.ts'
import { multipartBody } from '../bodies/multipart.ts'
import { urlencodedBody } from '../bodies/urlencoded.ts'
import { xmlSteps } from '../bodies/xml.ts'
import { factsOfBody, type BodyFacts } from './body-facts.ts'
import type { State } from './state.ts'

/** The processor that the type of a body asks for by itself; JSON and XML are switched on by rules. */
export const processorFor = (contentType: string | undefined): string => {
  const type = (contentType ?? '').toLowerCase()
  if (type.startsWith('application/x-www-form-urlencoded')) return 'URLENCODED'
  return type.startsWith('multipart/form-data') ? 'MULTIPART' : ''
}

/** Parses a body, in pieces, with the processor that the rules of phase 1 left chosen. `text` is latin1. */
export const processBody = function* (
  state: State,
  text: string,
  contentType: string,
  limits: BodyLimits,
): Generator<undefined, BodyFacts> {
  const processor = state.bodyProcessor
  const parsed = yield* parse(processor, text, contentType, limits)
  const isVariable =
    processor === 'URLENCODED' || (processor === '' && state.forceRequestBodyVariable)
  return factsOfBody(parsed, text.length, isVariable ? text : undefined)
}

const parse = function* (
  processor: string,
  text: string,
  contentType: string,
  limits: BodyLimits,
): Generator<undefined, ParsedBody> {
  switch (processor) {
    case 'URLENCODED':
      return urlencodedBody(text, limits)
    case 'MULTIPART':
      return multipartBody(contentType)(text, limits)
    case 'JSON':
      return yield* jsonSteps(text, limits)
    case 'XML':
      return yield* xmlSteps(text, limits)
    case 'GUESS':
      return yield* guessSteps(text, limits)
    default:
      return { args: [] }
  }
}
