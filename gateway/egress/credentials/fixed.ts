import type { EgressCredential } from '#config/schema'
import { pass } from '#contract/problem'
import type { Secret } from '#contract/secret'
import type { Attach, Attachment } from './credential.ts'
import { needlesOf } from './scan.ts'

type Fixed = Extract<EgressCredential, { kind: 'bearer' | 'header' | 'basic' }>

/**
 * A credential that is the same for every request.
 *
 * @throws TypeError for a secret that cannot stand in a header, or is too short to be told from other text.
 */
export const fixedCredential = (id: string, config: Fixed): Attach => {
  const attachment = attachmentOf(id, config)
  return () => pass({ attachment })
}

const attachmentOf = (id: string, config: Fixed): Attachment => {
  switch (config.kind) {
    case 'bearer':
      return bearer(usable(id, config.token))
    case 'header': {
      const value = usable(id, config.value)
      return { headers: [config.header, value], removes: [], needles: needlesOf([value]) }
    }
    case 'basic': {
      const password = usable(id, config.password)
      const pair = Buffer.from(`${config.username}:${password}`).toString('base64')
      return {
        headers: ['authorization', `Basic ${pair}`],
        removes: [],
        needles: needlesOf([pair, password]),
      }
    }
    default:
      return config satisfies never
  }
}

/** @see RFC 6750 §2.1 */
export const bearer = (token: string): Attachment => ({
  headers: ['authorization', `Bearer ${token}`],
  removes: [],
  needles: needlesOf([token]),
})

const minChars = 8

/** @throws TypeError, naming the credential and never its value. */
export const usable = (id: string, secret: Secret<string>): string => {
  const value = secret.reveal()
  if (!/^[\x20-\x7e]*$/.test(value) || value !== value.trim())
    throw new TypeError(
      `egress.credentials.${id}: its secret holds what cannot stand in a header: use printable ASCII without spaces at its ends`,
    )
  if (value.length < minChars)
    throw new TypeError(
      `egress.credentials.${id}: its secret is shorter than ${minChars} characters, so an answer that holds it could not be told from others`,
    )
  return value
}
