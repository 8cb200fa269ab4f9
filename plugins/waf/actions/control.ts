import { compilePattern } from '../regex/pattern.ts'
import { PatternError } from '../regex/syntax.ts'
import { parseTarget } from '../seclang/parse-targets.ts'
import type { Control, IdRange } from '../seclang/syntax.ts'
import { readNumber, type Action } from './action.ts'

/** `ctl:WORD=VALUE`: changes how the rest of this request is treated. */
export const ctl: Action = (text, so) => {
  const at = text.indexOf('=')
  const word = (at < 0 ? text : text.slice(0, at)).trim()
  const lower = word.toLowerCase()
  if (at < 0 || !Object.hasOwn(controls, lower))
    throw new TypeError(`ctl has no word ${JSON.stringify(word)}`)
  const change = controls[lower as keyof typeof controls](text.slice(at + 1).trim())
  return { effects: [...so.effects, { kind: 'ctl', change }] }
}

const isOn = (text: string): boolean => {
  const lower = text.toLowerCase()
  if (lower !== 'on' && lower !== 'off')
    throw new TypeError(`${JSON.stringify(text)} is neither On nor Off`)
  return lower === 'on'
}
const bytes = (text: string): number => readNumber(text, 0, 2 ** 31)
const logging = (): Control => ({ what: 'logging' })

const controls = {
  auditengine: logging,
  auditlogparts: logging,
  debugloglevel: logging,
  forcerequestbodyvariable: (text: string): Control => ({
    what: 'forceRequestBodyVariable',
    on: isOn(text),
  }),
  requestbodyaccess: (text: string): Control => ({ what: 'requestBodyAccess', on: isOn(text) }),
  requestbodylimit: (text: string): Control => ({ what: 'requestBodyLimit', bytes: bytes(text) }),
  requestbodyprocessor: (text: string): Control => {
    const processor = text.toUpperCase()
    if (!['URLENCODED', 'MULTIPART', 'XML', 'JSON', 'RAW', 'GUESS'].includes(processor))
      throw new TypeError(`there is no body processor ${JSON.stringify(text)}`)
    return { what: 'requestBodyProcessor', processor }
  },
  responsebodyaccess: (text: string): Control => ({ what: 'responseBodyAccess', on: isOn(text) }),
  responsebodylimit: (text: string): Control => ({ what: 'responseBodyLimit', bytes: bytes(text) }),
  ruleengine: (text: string): Control => {
    const modes = { on: 'On', off: 'Off', detectiononly: 'DetectionOnly' } as const
    const lower = text.toLowerCase()
    if (!Object.hasOwn(modes, lower))
      throw new TypeError(`${JSON.stringify(text)} is no mode of the rule engine`)
    return { what: 'ruleEngine', mode: modes[lower as keyof typeof modes] }
  },
  ruleremovebyid: (text: string): Control => ({ what: 'removeById', ids: parseIds(text) }),
  ruleremovebymsg: (text: string): Control => ({ what: 'removeByMsg', ...textPattern(text) }),
  ruleremovebytag: (text: string): Control => ({ what: 'removeByTag', ...textPattern(text) }),
  ruleremovetargetbyid: (text: string): Control => {
    const [ids, target] = splitTarget(text)
    return { what: 'removeTargetById', ids: parseIds(ids), target: parseTarget(target) }
  },
  ruleremovetargetbymsg: (text: string): Control => {
    const [pattern, target] = splitTarget(text)
    return { what: 'removeTargetByMsg', ...textPattern(pattern), target: parseTarget(target) }
  },
  ruleremovetargetbytag: (text: string): Control => {
    const [pattern, target] = splitTarget(text)
    return { what: 'removeTargetByTag', ...textPattern(pattern), target: parseTarget(target) }
  },
} as const

const splitTarget = (text: string): readonly [string, string] => {
  const at = text.indexOf(';')
  if (at < 0) throw new TypeError(`${JSON.stringify(text)} names no target: write …;VARIABLE`)
  return [text.slice(0, at).trim(), text.slice(at + 1).trim()]
}

/** Reads `942100`, `942100-942999`, or several with commas or blanks between. @throws TypeError */
export const parseIds = (text: string): readonly IdRange[] =>
  text
    .split(/[\s,]+/)
    .filter((item) => item !== '')
    .map((item) => {
      const [from = '', to = from] = item.split('-', 2)
      return [readNumber(from, 1, 999_999_999_999), readNumber(to, 1, 999_999_999_999)]
    })

/** As in ModSecurity v2 the name of a tag or message is a pattern, so a part of it is enough. @throws TypeError */
export const textPattern = (text: string): { pattern: string; test: (text: string) => boolean } => {
  try {
    return { pattern: text, test: compilePattern(text).test }
  } catch (cause) {
    if (!(cause instanceof PatternError)) throw cause
    throw new TypeError(`${JSON.stringify(text)} is not a pattern: ${cause.message}`, { cause })
  }
}
