import { webCertificate, runHttps, type RunningServer } from './https-server.ts'
import {
  authorizationOf,
  headerSignatureOf,
  isSignedBy,
  parameterOf,
  type AwsCredentials,
  type HeaderSigned,
} from './sigv4.ts'

/** Who holds a pair of keys, as STS says it. */
export type StsPrincipal = {
  readonly arn: string
  readonly userId: string
  readonly account: string
}

export type StsServer = RunningServer & {
  readonly host: string
  /** PEM, to trust it. */
  readonly ca: string
  /** Targets that it was asked for. */
  readonly asked: readonly string[]
  /** What it answers instead, from now on; undefined for what is right. */
  readonly sayInstead: (
    answer: { status: number; headers?: Record<string, string>; body?: string } | undefined,
  ) => void
}

type Account = { readonly credentials: AwsCredentials; readonly principal: StsPrincipal }

/**
 * A server that does what STS does with `GetCallerIdentity`: checks the signature, the age and the session token of a
 * request, and says in XML who signed it.
 */
export const runSts = async (accounts: readonly Account[]): Promise<StsServer> => {
  const { ca, server: certificate } = webCertificate()
  const asked: string[] = []
  let instead: Parameters<StsServer['sayInstead']>[0]

  const running = await runHttps(certificate, (request, response) => {
    const target = request.url ?? ''
    asked.push(target)
    if (instead !== undefined) {
      response.writeHead(instead.status, { 'content-type': 'text/xml', ...instead.headers })
      return response.end(instead.body ?? '')
    }
    const headers = Array.from({ length: request.rawHeaders.length / 2 }, (_, i) => {
      return [request.rawHeaders[2 * i] ?? '', request.rawHeaders[2 * i + 1] ?? ''] as const
    })
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString()
      const said = sayTo({ method: request.method ?? '', target, headers, body }, accounts)
      response.writeHead(typeof said === 'string' ? 403 : 200, { 'content-type': 'text/xml' })
      response.end(typeof said === 'string' ? faultOf(said) : answerOf(said))
    })
  })
  return {
    ...running,
    host: new URL(running.url).host,
    ca,
    asked,
    sayInstead: (answer) => {
      instead = answer
    },
  }
}

/** Who signed it, or the code of what is wrong. */
const sayTo = (request: HeaderSigned, accounts: readonly Account[]): StsPrincipal | string => {
  const authorization = authorizationOf(request)
  return authorization === undefined
    ? sayToPresigned(request, accounts)
    : sayToSigned(request, authorization, accounts)
}

const accountOf = (credential: string, accounts: readonly Account[]) =>
  accounts.find(({ credentials }) => credentials.accessKeyId === credential.split('/')[0])

const sayToPresigned = (request: HeaderSigned, accounts: readonly Account[]) => {
  const { target } = request
  const account = accountOf(parameterOf(target, 'X-Amz-Credential') ?? '', accounts)
  const token = parameterOf(target, 'X-Amz-Security-Token')
  if (account === undefined || token !== account.credentials.sessionToken)
    return 'InvalidClientTokenId'
  if (!isSignedBy(request, account.credentials.secretAccessKey)) return 'SignatureDoesNotMatch'
  return hasExpired(target) ? 'ExpiredToken' : account.principal
}

const sayToSigned = (
  request: HeaderSigned,
  authorization: NonNullable<ReturnType<typeof authorizationOf>>,
  accounts: readonly Account[],
) => {
  const account = accountOf(authorization.credential, accounts)
  const of = (name: string) =>
    request.headers.find(([one]) => one.toLowerCase() === name)?.[1] ?? undefined
  if (account === undefined || of('x-amz-security-token') !== account.credentials.sessionToken)
    return 'InvalidClientTokenId'
  const right = headerSignatureOf(request, authorization, account.credentials.secretAccessKey)
  if (authorization.signature !== right) return 'SignatureDoesNotMatch'
  const asked = `${request.target.split('?')[1] ?? ''}${request.body}`
  if (request.method !== 'POST' || asked !== 'Action=GetCallerIdentity&Version=2011-06-15')
    return 'InvalidAction'
  const ageMs = Date.now() - instantOf(of('x-amz-date') ?? '')
  return Math.abs(ageMs) < 300_000 ? account.principal : 'ExpiredToken'
}

const instantOf = (date: string): number =>
  Date.parse(date.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'))

const hasExpired = (target: string): boolean => {
  const atMs = instantOf(parameterOf(target, 'X-Amz-Date') ?? '')
  return !(Date.now() < atMs + Number(parameterOf(target, 'X-Amz-Expires')) * 1000)
}

export const answerOf = ({ arn, userId, account }: StsPrincipal): string =>
  `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <GetCallerIdentityResult>
    <Arn>${arn}</Arn>
    <UserId>${userId}</UserId>
    <Account>${account}</Account>
  </GetCallerIdentityResult>
  <ResponseMetadata>
    <RequestId>01234567-89ab-cdef-0123-456789abcdef</RequestId>
  </ResponseMetadata>
</GetCallerIdentityResponse>
`

const faultOf = (code: string): string =>
  `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error><Type>Sender</Type><Code>${code}</Code><Message>no</Message></Error>
  <RequestId>01234567-89ab-cdef-0123-456789abcdef</RequestId>
</ErrorResponse>
`
