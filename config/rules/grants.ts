import { parseSpiffeId, trustDomainOf } from '#contract/spiffe-id'
import { listed, tick, type Finding } from '../faults.ts'
import { nearest } from '../nearest.ts'
import { pointerTo } from '../pointer.ts'
import type { Grant } from '../schema.ts'
import type { Entry, Rule, Subject } from './rule.ts'

/** What the exchange gives to whom: every name is the name of something, and every grant can do what it says. */
export const grants: Rule = (subject) => [
  ...issuersOfSelfService(subject),
  ...clientIds(subject),
  ...subject.grants.flatMap((grant) => [
    ...askers(grant, subject),
    ...targets(grant),
    ...ofTrustDomain(grant, subject),
  ]),
  ...clientsWithoutGrant(subject),
]

const issuersOfSelfService = ({ texts, issuerNames }: Subject): Finding[] => {
  const enough = texts('/selfService/issuers')
  const unknown = enough.flatMap((name, i): Finding[] =>
    issuerNames === undefined || issuerNames.includes(name)
      ? []
      : [
          {
            pointer: pointerTo('/selfService/issuers', i),
            at: 'value',
            message: `there is no issuer ${tick(name)}`,
            remedy: meant(name, issuerNames) ?? 'add it to `issuers`',
          },
        ],
  )
  const once = texts('/selfService/oneTimeIssuers').flatMap((name, i): Finding[] =>
    enough.includes(name)
      ? []
      : [
          {
            pointer: pointerTo('/selfService/oneTimeIssuers', i),
            at: 'value',
            message: `${tick(name)} is not among \`selfService.issuers\`, so its tokens are not used that way`,
            remedy: meant(name, enough) ?? 'add it there, or take it out here',
          },
        ],
  )
  return [...unknown, ...once]
}

const clientIds = ({ clients, text, texts }: Subject): Finding[] => {
  const ours = [text('/spiffeId'), ...texts('/gateways')]
  const seen = new Map<string, string>()
  return clients.flatMap(({ name, pointer, value }): Finding[] => {
    if (name === 'self')
      return [
        {
          pointer,
          at: 'key',
          message: '`self` is what `grants` call whoever brings nothing but a platform token',
          remedy: 'give the client another name',
        },
      ]
    if (value.authentication.method !== 'tls_client_auth') return []
    const { spiffeId } = value.authentication
    const earlier = seen.get(spiffeId)
    seen.set(spiffeId, name)
    if (earlier === undefined && !ours.includes(spiffeId)) return []
    return [
      {
        pointer: `${pointer}/authentication/spiffeId`,
        at: 'value',
        message: `${tick(spiffeId)} is ${earlier === undefined ? 'a gateway or the exchange' : `client ${tick(earlier)}`} already`,
        remedy: 'give each its own',
      },
    ]
  })
}

const askers = ({ name, pointer, value }: Entry<Grant>, subject: Subject): Finding[] => {
  const { clients, texts } = subject
  const known = ['self', ...clients.map((client) => client.name)]
  const found = value.to.flatMap((asker, i): Finding[] =>
    known.includes(asker) || subject.pointersIn('clients').length > clients.length
      ? []
      : [
          {
            pointer: pointerTo(`${pointer}/to`, i),
            at: 'value',
            message: `there is no client ${tick(asker)}`,
            remedy: meant(asker, known) ?? `add it to \`clients\`, or use ${listed(known, 'or')}`,
          },
        ],
  )
  const asksForItself =
    texts('/selfService/issuers').length > 0 ||
    subject.legacyCallers.length > 0 ||
    subject.has('/aws')
  if (value.to.includes('self') && !asksForItself)
    found.push({
      pointer: `${pointer}/to`,
      at: 'key',
      message: `grant ${tick(name)} is for whoever brings a platform token, and none is enough`,
      remedy: 'name the issuers in `selfService.issuers`, callers in `legacy`, or clients here',
    })
  if (value.tokens.includes('x509-svid') && !value.to.includes('self'))
    found.push({
      pointer: `${pointer}/tokens`,
      at: 'key',
      message: `grant ${tick(name)} gives certificates, which one asks for with its own platform token alone`,
      remedy: 'add `self` to `to`, or take `x509-svid` out',
    })
  if (value.tokens.includes('txn-token') && value.to.every((asker) => asker === 'self'))
    found.push({
      pointer: `${pointer}/tokens`,
      at: 'key',
      message: `grant ${tick(name)} gives Txn-Tokens, which are for clients that prove who they are`,
      remedy: 'name a client in `to`, or take `txn-token` out',
    })
  return found
}

const targets = ({ name, pointer, value }: Entry<Grant>): Finding[] => {
  const needsOne = value.tokens.some((token) => token === 'jwt-svid' || token === 'access-token')
  if (needsOne && value.audiences.length === 0)
    return [
      {
        pointer,
        at: 'key',
        message: `grant ${tick(name)} has no \`audiences\`, so none of its tokens can be for anybody`,
        remedy: 'add the SPIFFE IDs or names of whom they are for',
      },
    ]
  if (value.tokens.includes('txn-token') && value.scopes.length === 0)
    return [
      {
        pointer,
        at: 'key',
        message: `grant ${tick(name)} has no \`scopes\`, and a Txn-Token needs one`,
        remedy: 'add the scopes that they may be for',
      },
    ]
  return []
}

const ofTrustDomain = ({ pointer, value }: Entry<Grant>, { text }: Subject): Finding[] => {
  const domain = text('/trustDomain')
  if (domain === undefined) return []
  return (['subjects', 'actors'] as const).flatMap((list) =>
    value[list].flatMap((pattern, i): Finding[] => {
      const id = parseSpiffeId(pattern.replaceAll('*', 'x'))
      if (!id.ok || trustDomainOf(id.value) === domain) return []
      return [
        {
          pointer: pointerTo(`${pointer}/${list}`, i),
          at: 'value',
          message: `${tick(pattern)} is not in the trust domain ${tick(domain)}, so it is nobody here`,
          remedy: `begin it with \`spiffe://${domain}/\``,
        },
      ]
    }),
  )
}

const clientsWithoutGrant = (subject: Subject): Finding[] => {
  const { clients, grants: all } = subject
  if (subject.pointersIn('grants').length > all.length) return []
  const used = new Set(all.flatMap(({ value }) => value.to))
  return clients
    .filter(({ name }) => !used.has(name))
    .map(({ name, pointer }) => ({
      severity: 'warning',
      pointer,
      at: 'key',
      message: `no grant is for client ${tick(name)}, so it gets nothing`,
      remedy: 'name it in `to` of a grant, or take it out',
    }))
}

const meant = (name: string, known: readonly string[]): string | undefined => {
  const near = nearest(name, known)
  return near === undefined ? undefined : `did you mean ${tick(near)}?`
}
