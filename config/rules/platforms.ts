import { tick, type Finding } from '../faults.ts'
import { pointerTo } from '../pointer.ts'
import type { Entry, Rule, Subject } from './rule.ts'
import type { Issuer } from '../schema.ts'

/** What is known to go wrong with the tokens of each platform, found before a caller finds it. */
export const platforms: Rule = (subject) =>
  subject.issuers.flatMap((issuer): readonly Finding[] => {
    switch (issuer.value.platform) {
      case 'kubernetes':
        return kubernetes(issuer)
      case 'github':
        return [
          ...githubAudiences(issuer),
          ...matchedByName(issuer, subject, githubIds, 'repository_id'),
        ]
      case 'gitlab':
        return matchedByName(issuer, subject, gitlabIds, 'project_id')
      case 'aws':
        return awsTags(issuer, subject)
      case 'gcp':
        return gcpEmail(issuer, subject)
      case 'azure':
        return azureTenant(issuer)
      case 'azure-attestation':
        return attestationAlgorithm(issuer)
      case 'spiffe':
        return otherTrustDomain(issuer, subject)
      case 'oidc':
        return []
      default:
        return issuer.value.platform satisfies never
    }
  })

const kubernetes = ({ pointer, name, value }: Entry<Issuer>): Finding[] => {
  const found: Finding[] = []
  if (value.issuer === 'kubernetes/serviceaccount')
    found.push({
      pointer: `${pointer}/issuer`,
      at: 'value',
      message: `issuer ${tick(name)} would take service account tokens of the old kind, which never end`,
      remedy: 'use the `--service-account-issuer` of the API server, and projected tokens',
    })
  if (!value.types.includes('none'))
    found.push({
      severity: 'warning',
      pointer: `${pointer}/types`,
      at: 'key',
      message: `tokens of Kubernetes have no \`typ\`, so issuer ${tick(name)} takes none of them`,
      remedy: 'write `types: [none]`',
    })
  for (const [i, audience] of value.audiences.entries())
    if (/^https:\/\/kubernetes\.default\.svc(?:[.:/]|$)/.test(audience))
      found.push({
        severity: 'warning',
        pointer: pointerTo(`${pointer}/audiences`, i),
        at: 'value',
        message: `${tick(audience)} is the audience of the API server: every pod holds such a token, and some live a year`,
        remedy: 'use an audience of your own, and the same in the projected volume',
      })
  return found
}

const githubAudiences = ({ pointer, value }: Entry<Issuer>): Finding[] =>
  value.audiences.flatMap((audience, i): Finding[] =>
    /^https:\/\/github\.com\/[^/]+\/?$/.test(audience)
      ? [
          {
            severity: 'warning',
            pointer: pointerTo(`${pointer}/audiences`, i),
            at: 'value',
            message: `${tick(audience)} is in every token of that owner that asks for no audience`,
            remedy: 'use an audience of your own, and ask for it: `core.getIDToken(AUDIENCE)`',
          },
        ]
      : [],
  )

const githubIds = ['repository_id', 'repository_owner_id']
const gitlabIds = ['project_id', 'namespace_id']

/** Names of owners, groups and repositories are given anew after they were left; ids are not. */
const matchedByName = (
  issuer: Entry<Issuer>,
  { identities }: Subject,
  ids: readonly string[],
  best: string,
): Finding[] =>
  identities
    .filter(({ value }) => value.issuer === issuer.name)
    .filter(({ value }) => !ids.some((id) => Object.hasOwn(value.match, id)))
    .map(({ pointer, name }) => ({
      severity: 'warning',
      pointer: `${pointer}/match`,
      at: 'key',
      message: `identity rule ${tick(name)} goes by names, which whoever takes them over later has, too`,
      remedy: `match \`${best}\` besides`,
    }))

/** What a caller writes into its own token says nothing about it. */
const awsTags = (issuer: Entry<Issuer>, { identities }: Subject): Finding[] =>
  identities
    .filter(({ value }) => value.issuer === issuer.name)
    .flatMap(({ pointer, name, value }) =>
      [...Object.keys(value.match), value.spiffeId]
        .filter((text) => text.includes('request_tags'))
        .map((text): Finding => ({
          pointer: text === value.spiffeId ? `${pointer}/spiffeId` : `${pointer}/match`,
          at: 'key',
          message: `identity rule ${tick(name)} goes by \`request_tags\`, which the caller itself chooses`,
          remedy: 'use `principal_tags`, `aws_account` or `sub`',
        })),
    )

const gcpEmail = (issuer: Entry<Issuer>, { identities }: Subject): Finding[] =>
  identities
    .filter(({ value }) => value.issuer === issuer.name && Object.hasOwn(value.match, 'email'))
    .filter(({ value }) => !Object.hasOwn(value.match, 'sub'))
    .map(({ pointer, name }) => ({
      severity: 'warning',
      pointer: `${pointer}/match`,
      at: 'key',
      message: `identity rule ${tick(name)} goes by \`email\`, which a new account can have after the old one`,
      remedy: 'match `sub`, the number of the account, besides',
    }))

const azureTenant = ({ pointer, name, value }: Entry<Issuer>): Finding[] =>
  /\/(?:common|organizations|consumers)(?:\/|$)/.test(value.issuer)
    ? [
        {
          pointer: `${pointer}/issuer`,
          at: 'value',
          message: `issuer ${tick(name)} would be every tenant of Azure`,
          remedy: 'write the id of your tenant there',
        },
      ]
    : []

/** What makes no difference to another trust domain: its bundle has its keys, and JWT-SVIDs are of one type. */
const notOfTrustDomains = [
  'jwksUrl',
  'jwksFile',
  'jwksTokenFile',
  'caFile',
  'introspection',
] as const

const otherTrustDomain = (
  { pointer, name, value }: Entry<Issuer>,
  { federated, text }: Subject,
): Finding[] => {
  const useless = notOfTrustDomains
    .filter((key) => value[key] !== undefined)
    .map((key): Finding => ({
      pointer: `${pointer}/${key}`,
      at: 'key',
      message: `issuer ${tick(name)} is a trust domain, whose keys are in its bundle`,
      remedy: 'take it out: `federation` says where the bundle is',
    }))
  const domain = /^spiffe:\/\/([a-z0-9._-]+)$/.exec(value.issuer)?.[1]
  const fault = (message: string, remedy: string): Finding[] => [
    ...useless,
    { pointer: `${pointer}/issuer`, at: 'value', message, remedy },
  ]
  if (domain === undefined)
    return fault(`the issuer of ${tick(name)} is no trust domain`, 'write `spiffe://NAME`')
  if (domain === text('/trustDomain'))
    return fault(
      `issuer ${tick(name)} is our own trust domain`,
      'name the `issuer` of the exchange for its tokens, with `jwksUrl`',
    )
  return federated.some((other) => other.name === domain)
    ? useless
    : fault(
        `the keys of issuer ${tick(name)} cannot be known: nobody gives the bundle of ${tick(domain)}`,
        `name ${tick(domain)} in \`federation.trustDomains\``,
      )
}

const attestationAlgorithm = ({ pointer, name, value }: Entry<Issuer>): Finding[] =>
  value.algorithms.includes('RS256')
    ? []
    : [
        {
          pointer: `${pointer}/algorithms`,
          at: 'key',
          message: `Azure Attestation signs with RS256, so issuer ${tick(name)} takes none of its tokens`,
          remedy: 'write `algorithms: [RS256]`',
        },
      ]
