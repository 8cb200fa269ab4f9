import { noMatch, unconditionalMatch } from './always.ts'
import { detectSQLi, detectXSS } from './injection.ts'
import { ipMatch, ipMatchFromFile } from './ip-match.ts'
import { lookUp } from './look-up.ts'
import { eq, ge, gt, le, lt } from './numbers.ts'
import type { Operator } from './operator.ts'
import { pm, pmFromFile } from './pm.ts'
import { rx } from './rx.ts'
import { beginsWith, contains, containsWord, endsWith, streq, strmatch, within } from './texts.ts'
import { validateByteRange, validateUrlEncoding, validateUtf8Encoding } from './validate.ts'
import { verifyCC, verifySSN } from './verify.ts'

/** Every operator of SecLang that there is here, by its name. */
export const operators = {
  beginsWith,
  contains,
  containsWord,
  detectSQLi,
  detectXSS,
  endsWith,
  eq,
  ge,
  geoLookup: lookUp,
  gsbLookup: lookUp,
  gt,
  ipMatch,
  ipMatchF: ipMatchFromFile,
  ipMatchFromFile,
  le,
  lt,
  noMatch,
  pm,
  pmf: pmFromFile,
  pmFromFile,
  rbl: lookUp,
  rx,
  streq,
  strmatch,
  unconditionalMatch,
  validateByteRange,
  validateUrlEncoding,
  validateUtf8Encoding,
  verifyCC,
  verifySSN,
  within,
} as const satisfies Record<string, Operator>
export type OperatorName = keyof typeof operators

/** Operators that need a database or the network: they never match here. */
export const operatorsWithoutData: readonly string[] = ['geoLookup', 'gsbLookup', 'rbl']

const names = new Map(Object.keys(operators).map((name) => [name.toLowerCase(), name]))

/** The name as the table spells it; case does not matter. `Map`, because a rule may name `constructor`. */
export const findOperator = (name: string): OperatorName | undefined =>
  names.get(name.toLowerCase()) as OperatorName | undefined
