import { dirname, resolve } from 'node:path'
import { readNumber } from '../../actions/action.ts'
import { parseActions } from '../parse-actions.ts'
import { readGeoDatabase } from '../../geo-database.ts'
import type { Settings } from '../rule.ts'
import { phases } from '../syntax.ts'
import type { DirectiveWord } from './directive.ts'

const only = (words: readonly string[]): string => {
  const [word, ...more] = words
  if (word === undefined || more.length > 0) throw new TypeError('takes one word')
  return word
}

/** A directive that sets one of the settings to what its one word says. */
const setting =
  <Name extends keyof Settings>(
    name: Name,
    read: (word: string) => Settings[Name],
  ): DirectiveWord =>
  (draft, words) => {
    draft.settings = { ...draft.settings, [name]: read(only(words)) }
  }

const oneOf =
  <const Words extends readonly string[]>(...words: Words) =>
  (word: string): Words[number] => {
    const found = words.find((known) => known.toLowerCase() === word.toLowerCase())
    if (found === undefined)
      throw new TypeError(`${JSON.stringify(word)} is none of ${words.join(', ')}`)
    return found
  }
const onOff = (word: string): boolean => oneOf('On', 'Off')(word) === 'On'
const number = (word: string): number => readNumber(word, 0, 2 ** 40)

export const secRuleEngine = setting('mode', oneOf('On', 'DetectionOnly', 'Off'))
export const secRequestBodyAccess = setting('requestBodyAccess', onOff)
export const secRequestBodyLimit = setting('requestBodyLimit', number)
export const secRequestBodyLimitAction = setting(
  'requestBodyLimitAction',
  oneOf('Reject', 'ProcessPartial'),
)
export const secRequestBodyJsonDepthLimit = setting('jsonDepthLimit', number)
export const secArgumentsLimit = setting('argumentsLimit', number)
export const secUploadFileLimit = setting('uploadFileLimit', number)
export const secResponseBodyAccess = setting('responseBodyAccess', onOff)
export const secResponseBodyLimit = setting('responseBodyLimit', number)
export const secResponseBodyLimitAction = setting(
  'responseBodyLimitAction',
  oneOf('Reject', 'ProcessPartial'),
)
export const secCollectionTimeout = setting('collectionTimeoutSeconds', (word) =>
  readNumber(word, 1, 2 ** 31),
)
/** SecHttpBlKey: twelve letters, which become a label of a name that is looked up. */
export const secHttpBlKey = setting('httpBlKey', (word) => {
  if (!/^[a-z]{12}$/.test(word)) throw new TypeError('takes a key of twelve small letters')
  return word
})

/** SecGeoLookupDb: read when it is named, relative to the file that names it. */
export const secGeoLookupDb: DirectiveWord = (draft, words, place) => {
  const path = resolve(dirname(place.file), only(words))
  draft.settings = { ...draft.settings, geoLookupDb: readGeoDatabase(path) }
}

/** SecResponseBodyMimeType: adds types whose bodies are looked at. */
export const secResponseBodyMimeType: DirectiveWord = (draft, words) => {
  const types = words.flatMap((word) => word.split(/\s+/)).filter((word) => word !== '')
  draft.settings = {
    ...draft.settings,
    responseBodyMimeTypes: [...new Set([...draft.settings.responseBodyMimeTypes, ...types])],
  }
}
export const secResponseBodyMimeTypesClear: DirectiveWord = (draft) => {
  draft.settings = { ...draft.settings, responseBodyMimeTypes: [] }
}

/** SecDefaultAction: what the rules of a phase have that come after it and do not say otherwise. */
export const secDefaultAction: DirectiveWord = (draft, words) => {
  const actions = parseActions(only(words))
  if (actions.phase === undefined) throw new TypeError('a default action needs a phase')
  if (actions.disruption === undefined)
    throw new TypeError('a default action needs a disruptive action')
  if (actions.disruption.kind === 'block') throw new TypeError('a default action cannot be block')
  if (!phases.includes(actions.phase)) throw new TypeError('no such phase')
  draft.defaults.set(actions.phase, { log: true, auditLog: true, ...actions })
}

/** A setting that must have the one value that this engine works by. */
export const fixed =
  (...values: readonly string[]): DirectiveWord =>
  (_, words) => {
    const word = words.join(' ')
    if (!values.some((value) => value.toLowerCase() === word.toLowerCase()))
      throw new TypeError(`${JSON.stringify(word)} is not supported, only ${values.join(' or ')}`)
  }

/** A directive without meaning here. `waf check` says why. */
export const noted =
  (what: string, why: string): DirectiveWord =>
  (draft, _, place) => {
    draft.notes.push({ ...place, what, why })
  }
