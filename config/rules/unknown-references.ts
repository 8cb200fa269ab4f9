import { listed, tick, type Finding } from '../faults.ts'
import { nearest } from '../nearest.ts'
import { pointerTo } from '../pointer.ts'
import type { Rule } from './rule.ts'

/** Every name that is used is the name of something. */
export const unknownReferences: Rule = (subject) => {
  const { issuerNames, upstreamNames, pointersIn, text, texts } = subject
  const found: Finding[] = []
  const refer = (
    what: 'issuer' | 'upstream',
    known: readonly string[] | undefined,
    pointer: string,
    name = text(pointer),
  ) => {
    if (known === undefined || name === undefined || known.includes(name)) return
    const meant = nearest(name, known)
    found.push({
      pointer,
      at: 'value',
      message: `there is no ${what} ${tick(name)}`,
      remedy:
        meant !== undefined
          ? `did you mean ${tick(meant)}?`
          : known.length === 0
            ? `add it to \`${what}s\``
            : `add it to \`${what}s\`, or use ${listed(known, 'or')}`,
    })
  }

  const referAll = (pointer: string) => {
    for (const [i, name] of texts(pointer).entries())
      refer('issuer', issuerNames, pointerTo(pointer, i), name)
  }
  for (const pointer of pointersIn('routes')) {
    refer('upstream', upstreamNames, `${pointer}/upstream`)
    referAll(`${pointer}/authenticate/issuers`)
  }
  for (const pointer of pointersIn('identities')) refer('issuer', issuerNames, `${pointer}/issuer`)
  referAll('/unsafe/plainHttpIssuers')
  referAll('/tracing/continueIssuers')
  return found
}
