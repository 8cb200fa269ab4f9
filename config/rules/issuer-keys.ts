import { tick, type Finding } from '../faults.ts'
import { pointerTo } from '../pointer.ts'
import type { Rule } from './rule.ts'

/** Each issuer has one place to get its keys from, and it is not open to whoever sits on the way. */
export const issuerKeys: Rule = ({ issuers, texts }) => {
  const plainPointer = '/unsafe/plainHttpIssuers'
  const allowed = texts(plainPointer)
  const found: Finding[] = []
  for (const { name, pointer, value } of issuers) {
    if (value.jwksUrl !== undefined && value.jwksFile !== undefined)
      found.push({
        pointer: `${pointer}/jwksFile`,
        at: 'key',
        message: `issuer ${tick(name)} has both \`jwksUrl\` and \`jwksFile\``,
        remedy: 'keep one of the two',
      })
    if (value.jwksFile !== undefined) continue
    const [key, url] =
      value.jwksUrl === undefined ? ['issuer', value.issuer] : ['jwksUrl', value.jwksUrl]
    if (/^https:\/\//i.test(url)) continue
    if (!/^http:\/\//i.test(url))
      found.push({
        pointer: `${pointer}/${key}`,
        at: 'value',
        message: `the keys of issuer ${tick(name)} cannot be found: its \`issuer\` is no URL to discover them at`,
        remedy: 'add `jwksUrl` or `jwksFile`',
      })
    else if (!allowed.includes(name))
      found.push({
        pointer: `${pointer}/${key}`,
        at: 'value',
        message: `the keys of issuer ${tick(name)} would be fetched over plain HTTP, where anyone on the way can replace them`,
        remedy: `use https, or own up to it with \`unsafe: { plainHttpIssuers: [${name}] }\``,
      })
  }
  return [...found, ...warnings(allowed, plainPointer)]
}

const warnings = (names: readonly string[], pointer: string): Finding[] =>
  names.map((name, i) => ({
    severity: 'warning',
    pointer: pointerTo(pointer, i),
    at: 'value',
    message: `the keys of issuer ${tick(name)} may come over plain HTTP: anyone on the way can make tokens that are accepted`,
    remedy: 'use https before this serves anyone but you',
  }))
