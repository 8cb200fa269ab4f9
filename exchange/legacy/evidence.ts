import { X509Certificate } from 'node:crypto'
import { legacyMethods, type LegacyEvidence } from '#contract/legacy'
import { isJsonObject, parseStrictObject, type JsonObject } from '#identity/json-strict'
import { bad, good, type Outcome } from '#identity/outcome'
import type { LegacyCredentials } from './authenticate.ts'

const base64url = /^[A-Za-z0-9_-]+$/

/** Reads what a gateway saw of a caller. A fault says what is wrong, for the record, and quotes nothing of it. */
export const readEvidence = (token: string): Outcome<LegacyEvidence> => {
  if (!base64url.test(token)) return bad('it is not base64url')
  const parsed = parseStrictObject(Buffer.from(token, 'base64url'), 4)
  if (!parsed.ok) return parsed
  const { method } = parsed.value
  const known = legacyMethods.find((one) => one === method)
  if (known === undefined) return bad('its method is not known')
  const evidence = shapeOf(known, parsed.value)
  return evidence === undefined ? bad(`it is no ${known}`) : good(evidence)
}

const shapeOf = (
  method: LegacyEvidence['method'],
  { key, authorization, request, certificate }: JsonObject,
): LegacyEvidence | undefined => {
  switch (method) {
    case 'api_key':
      return typeof key === 'string' ? { method, key } : undefined
    case 'basic':
      return typeof authorization === 'string' ? { method, authorization } : undefined
    case 'client_certificate':
      return typeof certificate === 'string' ? { method, certificate } : undefined
    case 'signed_request':
      return isSigned(request) ? { method, request } : undefined
    default:
      return method satisfies never
  }
}

type Signed = Extract<LegacyEvidence, { method: 'signed_request' }>['request']

const isSigned = (request: unknown): request is Signed =>
  isJsonObject(request) &&
  ['method', 'authority', 'path', 'query'].every((name) => typeof request[name] === 'string') &&
  typeof request['hasBody'] === 'boolean' &&
  isJsonObject(request['headers']) &&
  Object.values(request['headers']).every((value) => typeof value === 'string')

const noRequest = { method: '', authority: '', path: '', query: '', body: 'none' } as const

/** The same as if the caller had come itself. */
export const credentialsIn = (evidence: LegacyEvidence): Outcome<LegacyCredentials> => {
  const certificate = undefined
  switch (evidence.method) {
    case 'api_key':
      return good({
        request: { ...noRequest, headers: { 'x-api-key': evidence.key } },
        certificate,
      })
    case 'basic':
      return good({
        request: { ...noRequest, headers: { authorization: evidence.authorization } },
        certificate,
      })
    case 'signed_request': {
      const { hasBody, ...request } = evidence.request
      const { signature, 'signature-input': input } = request.headers
      return signature === undefined && input === undefined
        ? bad('there is no signature')
        : good({ request: { ...request, body: hasBody ? 'elsewhere' : 'none' }, certificate })
    }
    case 'client_certificate':
      try {
        const shown = new X509Certificate(Buffer.from(evidence.certificate, 'base64'))
        return good({ request: { ...noRequest, headers: {} }, certificate: shown })
      } catch (cause) {
        if (!(cause instanceof Error && 'code' in cause)) throw cause
        return bad('it is no certificate')
      }
    default:
      return evidence satisfies never
  }
}
