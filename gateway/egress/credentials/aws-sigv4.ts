import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto'
import { pass, refuse, type Result } from '#contract/problem'
import type { EgressCredential } from '#config/schema'
import { usable } from './fixed.ts'
import { needlesOf } from './scan.ts'
import type { Attach, Attachment, Outgoing } from './credential.ts'

type AwsSigV4 = Extract<EgressCredential, { kind: 'aws-sigv4' }>

/**
 * Signs each request with keys of the operator's own, for one region and service. A signature is good for this method,
 * host, path, query and, where it is signed, body alone.
 *
 * @throws TypeError for a secret that cannot be used.
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
export const awsSigV4 = (id: string, config: AwsSigV4): Attach => {
  const secretAccessKey = usable(id, config.secretAccessKey)
  const sessionToken = config.sessionToken && usable(id, config.sessionToken)
  const credentials = {
    accessKeyId: usable(id, config.accessKeyId),
    secretAccessKey,
    ...(sessionToken === undefined ? {} : { sessionToken }),
  }
  const signer = loadSigner({ ...config, credentials })
  return async (outgoing, { nowMs }) => {
    const query = readQuery(outgoing.query)
    if (!query) return refuse('request-malformed', { detail: 'The query is not well encoded.' })
    const payload = await payloadOf(config, outgoing)
    if (!payload.ok) return payload
    const signed = await (
      await signer
    ).sign(
      {
        method: outgoing.method,
        protocol: 'https:',
        hostname: outgoing.host,
        path: outgoing.path,
        query,
        headers: { ...signedHeadersOf(outgoing), ...payload.value.headers },
        ...(payload.value.body ? { body: payload.value.body } : {}),
      },
      { signingDate: new Date(nowMs) },
    )
    return pass({
      attachment: attachmentOf(signed.headers, [
        secretAccessKey,
        ...(sessionToken === undefined ? [] : [sessionToken]),
      ]),
    })
  }
}

/** Its package is read only where it is configured. */
const loadSigner = async ({
  credentials,
  region,
  service,
}: Pick<AwsSigV4, 'region' | 'service'> & {
  readonly credentials: {
    readonly accessKeyId: string
    readonly secretAccessKey: string
    readonly sessionToken?: string
  }
}) => {
  const { SignatureV4 } = await import('@smithy/signature-v4')
  const signer = new SignatureV4({
    credentials,
    region,
    service,
    sha256: Sha256,
    uriEscapePath: service !== 's3', // all others encode the path twice
  })
  return signer
}

const ownHeaders: ReadonlySet<string> = new Set([
  'x-amz-date',
  'x-amz-content-sha256',
  'x-amz-security-token',
])

/** What a service reads as part of the question. Others may be changed on the way, so they are not signed. */
const signedHeadersOf = ({ host, headers }: Outgoing): Record<string, string> => {
  const signed: Record<string, string> = { host }
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const [name = '', value = ''] = [headers[i], headers[i + 1]]
    if (ownHeaders.has(name) || !(name.startsWith('x-amz-') || name === 'content-type')) continue
    signed[name] = Object.hasOwn(signed, name) ? `${signed[name]},${value}` : value
  }
  return signed
}

const payloadOf = async (
  { payload, maxSignedBodyBytes }: AwsSigV4,
  { body }: Outgoing,
): Promise<
  Result<{ readonly headers: Readonly<Record<string, string>>; readonly body?: Buffer }>
> => {
  if (!body.expected) return pass({ headers: {} })
  if (payload === 'unsigned')
    return pass({ headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } })
  const peeked = await body.peek(maxSignedBodyBytes)
  if (!peeked.ok) return peeked
  return peeked.value.whole
    ? pass({ headers: {}, body: peeked.value.bytes })
    : refuse('body-too-large', {
        detail: `A body that is signed may have ${maxSignedBodyBytes} bytes.`,
      })
}

/** @returns undefined for what cannot be decoded, and so not be signed as it is. */
const readQuery = (text: string): Record<string, string | string[]> | undefined => {
  const query: Record<string, string[]> = Object.create(null) as Record<string, string[]>
  try {
    for (const part of text.slice(1).split('&')) {
      if (part === '') continue
      const equals = part.indexOf('=')
      const name = decodeURIComponent(equals < 0 ? part : part.slice(0, equals))
      const value = equals < 0 ? '' : decodeURIComponent(part.slice(equals + 1))
      query[name] = [...(query[name] ?? []), value]
    }
  } catch (cause) {
    if (!(cause instanceof URIError)) throw cause
    return undefined
  }
  return query
}

const attachmentOf = (
  signed: Readonly<Record<string, string>>,
  secrets: readonly string[],
): Attachment => {
  const { authorization = '' } = signed
  const headers = ['authorization', authorization]
  for (const name of ownHeaders) {
    const value = signed[name]
    if (value !== undefined) headers.push(name, value)
  }
  const [, signature = ''] = /Signature=([0-9a-f]{64})/.exec(authorization) ?? []
  if (signature === '') throw new Error('the signer gave no signature')
  return { headers, removes: [...ownHeaders], needles: needlesOf([...secrets, signature]) }
}

/** What the signer wants to be given: SHA-256, or HMAC with it. */
class Sha256 {
  readonly #hash: Hash | Hmac
  constructor(key?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = key === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(key))
  }
  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytesOf(data))
  }
  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest())
  }
  reset(): void {
    throw new Error('a hash of ours is used once')
  }
}

const bytesOf = (data: string | ArrayBuffer | ArrayBufferView): Buffer =>
  typeof data === 'string'
    ? Buffer.from(data, 'utf8')
    : ArrayBuffer.isView(data)
      ? Buffer.from(data.buffer, data.byteOffset, data.byteLength)
      : Buffer.from(data)
