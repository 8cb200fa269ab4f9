import { parseSpiffeId, trustDomainOf } from '#contract/spiffe-id'
import { tick, type Finding } from '../faults.ts'
import { pointerTo } from '../pointer.ts'
import type { Rule, Subject } from './rule.ts'

/** Callers of AWS: each principal is one caller, none is one of ours, and AWS alone is asked. */
export const aws: Rule = (subject) => [...callers(subject), ...endpoints(subject)]

const callers = ({ awsCallers, text, texts }: Subject): Finding[] => {
  const domain = text('/trustDomain')
  const ours = [text('/spiffeId'), ...texts('/gateways')]
  const seen = new Map<string, string>()
  return awsCallers.flatMap(({ name, pointer, value: { arn, spiffeId } }): Finding[] => {
    const found: Finding[] = []
    const fault = (key: 'arn' | 'spiffeId', message: string, remedy: string) =>
      found.push({ pointer: `${pointer}/${key}`, at: 'value', message, remedy })
    const earlier = seen.get(arn)
    seen.set(arn, name)
    if (earlier !== undefined)
      fault('arn', `${tick(arn)} is caller ${tick(earlier)} already`, 'keep one of the two')
    if (/:role\/.*\//.test(arn))
      fault(
        'arn',
        `STS does not tell the path of a role, so ${tick(arn)} is nobody`,
        'leave the path out: `arn:aws:iam::ACCOUNT:role/NAME`',
      )
    const id = parseSpiffeId(spiffeId)
    if (!id.ok) return found
    if (domain !== undefined && trustDomainOf(id.value) !== domain)
      fault(
        'spiffeId',
        `${tick(spiffeId)} is not in the trust domain ${tick(domain)}`,
        `begin it with \`spiffe://${domain}/\``,
      )
    if (ours.includes(spiffeId))
      fault(
        'spiffeId',
        `${tick(spiffeId)} is a gateway or the exchange`,
        'give it an ID of its own',
      )
    return found
  })
}

const stsHost =
  /^sts(?:-fips)?(?:\.[a-z0-9-]+)?\.(?:amazonaws\.com(?:\.cn)?|api\.aws|api\.amazonwebservices\.com\.cn|c2s\.ic\.gov|sc2s\.sgov\.gov)$/

/** Whoever answers there says who everybody is. */
const endpoints = ({ texts }: Subject): Finding[] =>
  texts('/aws/endpoints').flatMap((url, i): Finding[] => {
    const { hostname, pathname, search } = new URL(url)
    const pointer = pointerTo('/aws/endpoints', i)
    if (pathname !== '/' || search !== '')
      return [
        {
          pointer,
          at: 'value',
          message: `${tick(url)} has a path, and STS is asked at \`/\``,
          remedy: 'leave it out',
        },
      ]
    return stsHost.test(hostname)
      ? []
      : [
          {
            severity: 'warning',
            pointer,
            at: 'value',
            message: `${tick(hostname)} is no STS endpoint of AWS: whoever answers there says who everybody is`,
            remedy: 'use `https://sts.REGION.amazonaws.com`',
          },
        ]
  })
