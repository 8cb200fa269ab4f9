const maxReadChars = 4096
const maxKeptChars = 1000
const scrubbed = '[scrubbed]'

/** Each is anchored so that it runs through a text once, however the text was made. */
const patterns: readonly (readonly [RegExp, string])[] = [
  // JOSE in compact form: three parts or five, or the beginning of one, whose first part is base64url of `{"` or `{ `.
  [/(?<![\w-])ey[\w-]{10,}(?:\.[\w-]*)*/g, scrubbed],
  [/(?<![\w-])[\w-]{16,}\.[\w-]{16,}\.[\w-]{16,}/g, scrubbed],
  // Credentials after the name of their scheme, RFC 9110 §11.4.
  [/\b(Bearer|Basic|DPoP|Digest|Negotiate)(\s+)[^\s"',;]+/gi, `$1$2${scrubbed}`],
  // What stands after a name that tells of a secret, to the end of the value, in headers, JSON and forms.
  [
    /\b((?:proxy-)?authorization|cookie|set-cookie|x-api-key|txn-token|client_secret|client_assertion|password|(?:access_|refresh_|id_|subject_|actor_)?token)(["']?\s*[:=]\s*)(?:"[^"]*"?|[^\r\n,;&]+)/gi,
    `$1$2${scrubbed}`,
  ],
  [/:\/\/[^\s/@]+@/g, `://${scrubbed}@`], // RFC 3986 §3.2.1
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*-----)?/g, scrubbed],
]

/**
 * A text for a record without what looks like a token, a credential or a key, and no longer than 1000 characters. A net
 * below the rule that no secret is put into a problem, not instead of it.
 */
export const scrub = (text: string): string => {
  let clean = text.length > maxReadChars ? text.slice(0, maxReadChars) : text
  for (const [pattern, replacement] of patterns) clean = clean.replace(pattern, replacement)
  return clean.length > maxKeptChars ? `${clean.slice(0, maxKeptChars)}…` : clean
}

const shortestTokenChars = 12

/** The same for a path, which seldom holds one: those too short for it, or with no part so long, are not searched. */
export const scrubPath = (path: string): string =>
  path.length < shortestTokenChars || !mayHoldToken.test(path) ? path : scrub(path)

const mayHoldToken = /(?<![\w-])(?:ey[\w-]{10,}|[\w-]{16,}\.[\w-]{16,})|:\/\//
