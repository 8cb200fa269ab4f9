import { beginsWith } from './begins-with.ts'
import { containsWord } from './contains-word.ts'
import { contains, strmatch } from './contains.ts'
import { detectSQLi } from './detect-sqli.ts'
import { detectXSS } from './detect-xss.ts'
import { endsWith } from './ends-with.ts'
import { eq } from './eq.ts'
import { ge } from './ge.ts'
import { geoLookup } from './geo-lookup.ts'
import { gt } from './gt.ts'
import { ipMatchFromFile } from './ip-match-from-file.ts'
import { ipMatch } from './ip-match.ts'
import { le } from './le.ts'
import { lt } from './lt.ts'
import { noMatch } from './no-match.ts'
import type { Operator } from './operator.ts'
import { pmFromFile } from './pm-from-file.ts'
import { pm } from './pm.ts'
import { rbl } from './rbl.ts'
import { rx } from './rx.ts'
import { streq } from './streq.ts'
import { unconditionalMatch } from './unconditional-match.ts'
import { validateByteRange } from './validate-byte-range.ts'
import { validateUrlEncoding } from './validate-url-encoding.ts'
import { validateUtf8Encoding } from './validate-utf8-encoding.ts'
import { verifyCC } from './verify-cc.ts'
import { verifySSN } from './verify-ssn.ts'
import { within } from './within.ts'

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
  geoLookup,
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
  rbl,
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

const names = new Map(Object.keys(operators).map((name) => [name.toLowerCase(), name]))

/** The name as the table spells it; case does not matter. `Map`, because a rule may name `constructor`. */
export const findOperator = (name: string): OperatorName | undefined =>
  names.get(name.toLowerCase()) as OperatorName | undefined
