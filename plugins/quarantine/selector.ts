import { pass, refuse, type Result } from '#contract/problem'
import { quarantineKinds, type QuarantineKind, type QuarantineSelector } from '#contract/quarantine'
import { parseSpiffeId } from '#contract/spiffe-id'
import { networkText, parseNetwork } from './network.ts'

type Fields = Readonly<Record<string, unknown>>

const maxValueChars = 2048

/** What each kind is told by: names of its fields, those with `?` may be missing. */
const fieldsOf = {
  address: ['network'],
  route: ['route'],
  'client-certificate': ['sha256'],
  issuer: ['issuer'],
  subject: ['issuer', 'subject'],
  'spiffe-id': ['spiffeId'],
  jti: ['jti', 'issuer?'],
  kid: ['kid', 'issuer?'],
} as const satisfies Record<QuarantineKind, readonly string[]>

/**
 * Reads whom or what an entry is to cut off, and brings it into its one form.
 *
 * @returns Refuses with `request-malformed`, the detail a sentence.
 */
export const parseSelector = (value: unknown): Result<QuarantineSelector> => {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return malformed(
      'by must be an object such as { "kind": "subject", "issuer": …, "subject": … }.',
    )
  const fields = value as Fields
  const kind = quarantineKinds.find((known) => known === fields['kind'])
  if (kind === undefined) return malformed(`by.kind must be one of ${quarantineKinds.join(', ')}.`)
  const wanted = fieldsOf[kind].map((name) => name.replace('?', ''))
  for (const name of Object.keys(fields))
    if (name !== 'kind' && !wanted.includes(name))
      return malformed(`by.${name} is not for ${kind}: that has ${wanted.join(' and ')}.`)
  for (const name of fieldsOf[kind]) {
    const field = fields[name.replace('?', '')]
    if (field === undefined && name.endsWith('?')) continue
    if (typeof field !== 'string' || field === '' || field.length > maxValueChars)
      return malformed(
        `by.${name.replace('?', '')} must be text, at most ${maxValueChars} characters.`,
      )
    if (controls.test(field))
      return malformed(`by.${name.replace('?', '')} has control characters in it.`)
  }
  return inOneForm(kind, fields as Readonly<Record<string, string>>)
}

const controls = /\p{Cc}/u

const inOneForm = (
  kind: QuarantineKind,
  {
    network = '',
    route = '',
    sha256 = '',
    issuer = '',
    subject = '',
    ...more
  }: Readonly<Record<string, string>>,
): Result<QuarantineSelector> => {
  const { spiffeId = '', jti = '', kid = '' } = more
  const ofIssuer = issuer === '' ? {} : { issuer }
  switch (kind) {
    case 'address': {
      const parsed = parseNetwork(network)
      return typeof parsed === 'string'
        ? malformed(`by.network ${parsed}.`)
        : pass({ kind, network: networkText(parsed) })
    }
    case 'route':
      return pass({ kind, route })
    case 'client-certificate': {
      const digits = sha256.replaceAll(':', '').toLowerCase()
      return /^[0-9a-f]{64}$/.test(digits)
        ? pass({ kind, sha256: digits })
        : malformed('by.sha256 must be the SHA-256 of a certificate: 64 hexadecimal digits.')
    }
    case 'issuer':
      return pass({ kind, issuer })
    case 'subject':
      return pass({ kind, issuer, subject })
    case 'spiffe-id':
      return isSpiffePattern(spiffeId)
        ? pass({ kind, spiffeId })
        : malformed('by.spiffeId must be a SPIFFE ID, or one with /* at its end.')
    case 'jti':
      return pass({ kind, jti, ...ofIssuer })
    case 'kid':
      return pass({ kind, kid, ...ofIssuer })
    default:
      return kind satisfies never
  }
}

const isSpiffePattern = (text: string): boolean =>
  parseSpiffeId(text.endsWith('/*') ? text.slice(0, -2) : text).ok

const malformed = (detail: string) => refuse('request-malformed', { detail })
