/** User and password of a Basic `Authorization`. */
export type BasicCredentials = { readonly id: string; readonly secret: string }

/** RFC 6749 §2.3.1: both parts are form-encoded before they are joined and encoded. Undefined for anything else. */
export const basicCredentials = (authorization: string): BasicCredentials | undefined => {
  const [, encoded = ''] = /^Basic ([A-Za-z0-9+/]{1,4096}={0,2})$/i.exec(authorization) ?? []
  const decoded = Buffer.from(encoded, 'base64').toString('latin1')
  const colon = decoded.indexOf(':')
  if (colon < 1 || !/^[ -~]+$/.test(decoded)) return undefined
  try {
    const [id, secret] = [decoded.slice(0, colon), decoded.slice(colon + 1)].map((part) =>
      decodeURIComponent(part.replaceAll('+', ' ')),
    )
    return id === undefined || secret === undefined ? undefined : { id, secret }
  } catch (cause) {
    if (cause instanceof URIError) return undefined
    throw cause
  }
}
