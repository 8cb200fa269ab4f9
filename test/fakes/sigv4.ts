import { createHash, createHmac, timingSafeEqual, type Hash, type Hmac } from 'node:crypto'
import { SignatureV4 } from '@smithy/signature-v4'

/** AWS Signature Version 4 in the query, as AWS's own test vectors have it: for a server that checks, and a client that signs. */

export type SignedRequest = {
  readonly method: string
  /** Path `/` and query, as sent. */
  readonly target: string
  readonly headers: readonly (readonly [name: string, value: string])[]
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const hmac = (key: Buffer | string, text: string) => createHmac('sha256', key).update(text).digest()
const encode = (text: string) =>
  encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )

type Parameters = readonly (readonly [name: string, value: string])[]
const parametersOf = (target: string): Parameters =>
  target
    .slice(target.indexOf('?') + 1)
    .split('&')
    .map((pair) => {
      const [name = '', value = ''] = pair.split('=')
      return [decodeURIComponent(name), decodeURIComponent(value)]
    })

export const parameterOf = (target: string, name: string): string | undefined =>
  parametersOf(target).find(([one]) => one === name)?.[1]

const byCodePoint = ([a]: readonly [string, string], [b]: readonly [string, string]) =>
  a < b ? -1 : a > b ? 1 : 0

/** The signature that this request must have. */
export const signatureOf = (
  { method, target, headers }: SignedRequest,
  secretAccessKey: string,
): string => {
  const query = parametersOf(target)
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => [encode(name), encode(value)] as const)
    .toSorted(byCodePoint)
    .map(([name, value]) => `${name}=${value}`)
    .join('&')
  const signed = (parameterOf(target, 'X-Amz-SignedHeaders') ?? '').split(';')
  const lines = signed.map((name) => {
    const values = headers.filter(([one]) => one.toLowerCase() === name)
    return `${name}:${values.map(([, value]) => value.trim().replaceAll(/ +/g, ' ')).join(',')}\n`
  })
  const canonical = [method, '/', query, lines.join(''), signed.join(';'), sha256('')].join('\n')
  const [, day = '', region = '', service = ''] = (
    parameterOf(target, 'X-Amz-Credential') ?? ''
  ).split('/')
  const date = parameterOf(target, 'X-Amz-Date') ?? ''
  const scope = `${day}/${region}/${service}/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', date, scope, sha256(canonical)].join('\n')
  const key = [day, region, service, 'aws4_request'].reduce<Buffer | string>(
    (last, part) => hmac(last, part),
    `AWS4${secretAccessKey}`,
  )
  return hmac(key, toSign).toString('hex')
}

export const isSignedBy = (request: SignedRequest, secretAccessKey: string): boolean => {
  const sent = Buffer.from(parameterOf(request.target, 'X-Amz-Signature') ?? '')
  const right = Buffer.from(signatureOf(request, secretAccessKey))
  return sent.length === right.length && timingSafeEqual(sent, right)
}

export type AwsCredentials = {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

/** A presigned `GetCallerIdentity`, well-formed but for the parameters that are changed; undefined takes one away. */
export const presign = (
  { accessKeyId, secretAccessKey, sessionToken }: AwsCredentials,
  {
    host,
    headers,
    atMs,
  }: { host: string; headers: Readonly<Record<string, string>>; atMs: number },
  changed: Readonly<Record<string, string | undefined>> = {},
): string => {
  const date = new Date(atMs).toISOString().replaceAll(/[-:]|\.\d+/g, '')
  const parameters = {
    Action: 'GetCallerIdentity',
    Version: '2011-06-15',
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${accessKeyId}/${date.slice(0, 8)}/eu-west-1/sts/aws4_request`,
    'X-Amz-Date': date,
    'X-Amz-Expires': '300',
    'X-Amz-Security-Token': sessionToken,
    'X-Amz-SignedHeaders': ['host', ...Object.keys(headers)].toSorted().join(';'),
    ...changed,
  }
  const query = Object.entries(parameters)
    .filter(([, value]) => value !== undefined)
    .map(([name, value = '']) => `${encode(name)}=${encode(value)}`)
    .join('&')
  const request = {
    method: 'GET',
    target: `/?${query}`,
    headers: [['host', host], ...Object.entries(headers)] as const,
  }
  return `https://${host}/?${query}&X-Amz-Signature=${signatureOf(request, secretAccessKey)}`
}

export type HeaderSigned = {
  readonly method: string
  readonly target: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string
}

const authorizationShape =
  /^AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/

/** What the `Authorization` of a request says; undefined for none of AWS. */
export const authorizationOf = ({ headers }: Pick<HeaderSigned, 'headers'>) => {
  const [, credential = '', signed = '', signature = ''] =
    authorizationShape.exec(
      headers.find(([name]) => name.toLowerCase() === 'authorization')?.[1] ?? '',
    ) ?? []
  return signature === '' ? undefined : { credential, signed: signed.split(';'), signature }
}

/** The signature that a request must have whose `Authorization` holds it. */
export const headerSignatureOf = (
  { method, target, headers, body }: HeaderSigned,
  { credential, signed }: { readonly credential: string; readonly signed: readonly string[] },
  secretAccessKey: string,
): string => {
  const query = target.includes('?')
    ? parametersOf(target)
        .map(([name, value]) => [encode(name), encode(value)] as const)
        .toSorted(byCodePoint)
        .map(([name, value]) => `${name}=${value}`)
        .join('&')
    : ''
  const valueOf = (name: string) =>
    headers
      .filter(([one]) => one.toLowerCase() === name)
      .map(([, value]) => value.trim().replaceAll(/ +/g, ' '))
      .join(',')
  const lines = signed.map((name) => `${name}:${valueOf(name)}\n`)
  const canonical = [method, '/', query, lines.join(''), signed.join(';'), sha256(body)].join('\n')
  const [, day = '', region = '', service = ''] = credential.split('/')
  const scope = `${day}/${region}/${service}/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', valueOf('x-amz-date'), scope, sha256(canonical)].join('\n')
  const key = [day, region, service, 'aws4_request'].reduce<Buffer | string>(
    (last, part) => hmac(last, part),
    `AWS4${secretAccessKey}`,
  )
  return hmac(key, toSign).toString('hex')
}

/** A `POST` of `GetCallerIdentity` signed in its headers by the signer of AWS's own SDK. */
export const signPost = async (
  credentials: AwsCredentials,
  {
    host,
    headers,
    atMs,
    body = 'Action=GetCallerIdentity&Version=2011-06-15',
    query = {},
  }: {
    host: string
    headers: Readonly<Record<string, string>>
    atMs: number
    body?: string
    query?: Record<string, string>
  },
): Promise<{ method: string; url: string; headers: Record<string, string>; body: string }> => {
  const signer = new SignatureV4({
    credentials,
    region: 'eu-west-1',
    service: 'sts',
    sha256: Sha256,
  })
  const signed = await signer.sign(
    {
      method: 'POST',
      protocol: 'https:',
      hostname: host,
      path: '/',
      query,
      headers: {
        host,
        ...(body === '' ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
        ...headers,
      },
      body,
    },
    { signingDate: new Date(atMs) },
  )
  const search = new URLSearchParams(query).toString()
  return {
    method: 'POST',
    url: `https://${host}/${search === '' ? '' : `?${search}`}`,
    headers: { ...signed.headers },
    body,
  }
}

class Sha256 {
  private readonly hash: Hash | Hmac
  constructor(secret?: unknown) {
    this.hash = secret === undefined ? createHash('sha256') : createHmac('sha256', secret as Buffer)
  }
  update(data: Uint8Array | string): void {
    this.hash.update(data)
  }
  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.hash.digest())
  }
}
