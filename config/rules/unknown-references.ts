import { listed, tick, type Finding } from '../faults.ts'
import { nearest } from '../nearest.ts'
import { pointerTo } from '../pointer.ts'
import type { Rule } from './rule.ts'

/** Every name that is used is the name of something. */
export const unknownReferences: Rule = (subject) => {
  const { issuerNames, upstreamNames, routes, identities } = subject
  const found: Finding[] = []
  const refer = (
    what: 'issuer' | 'upstream',
    name: string,
    known: readonly string[] | undefined,
    pointer: string,
  ) => {
    if (known === undefined || known.includes(name)) return
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

  for (const { pointer, value } of routes) {
    refer('upstream', value.upstream, upstreamNames, `${pointer}/upstream`)
    if (value.authenticate !== 'none')
      for (const [i, name] of value.authenticate.issuers.entries())
        refer('issuer', name, issuerNames, `${pointer}/authenticate/issuers/${i}`)
  }
  for (const { pointer, value } of identities)
    refer('issuer', value.issuer, issuerNames, `${pointer}/issuer`)
  const plain = '/unsafe/plainHttpIssuers'
  for (const [i, name] of subject.texts(plain).entries())
    refer('issuer', name, issuerNames, pointerTo(plain, i))
  return found
}
