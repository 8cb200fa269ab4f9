import type { BodyLimits, ParsedBody } from '../bodies/body.ts'
import { jsonBody } from '../bodies/json.ts'
import { multipartBody } from '../bodies/multipart.ts'
import { urlencodedBody } from '../bodies/urlencoded.ts'
import { xmlBody } from '../bodies/xml.ts'
import { factsOfBody, type BodyFacts } from './body-facts.ts'
import type { State } from './state.ts'

/** The processor that the type of a body asks for by itself; JSON and XML are switched on by rules. */
export const processorFor = (contentType: string | undefined): string => {
  const type = (contentType ?? '').toLowerCase()
  if (type.startsWith('application/x-www-form-urlencoded')) return 'URLENCODED'
  return type.startsWith('multipart/form-data') ? 'MULTIPART' : ''
}

/** Parses a body with the processor that the rules of phase 1 left chosen. `text` is latin1. */
export const processBody = (
  state: State,
  text: string,
  contentType: string,
  limits: BodyLimits,
): BodyFacts => {
  const processor = state.bodyProcessor
  const parsed = parse(processor, text, contentType, limits)
  const isVariable =
    processor === 'URLENCODED' || (processor === '' && state.forceRequestBodyVariable)
  return factsOfBody(parsed, text.length, isVariable ? text : undefined)
}

const parse = (
  processor: string,
  text: string,
  contentType: string,
  limits: BodyLimits,
): ParsedBody => {
  switch (processor) {
    case 'URLENCODED':
      return urlencodedBody(text, limits)
    case 'MULTIPART':
      return multipartBody(contentType)(text, limits)
    case 'JSON':
      return jsonBody(text, limits)
    case 'XML':
      return xmlBody(text, limits)
    default:
      return { args: [] }
  }
}
