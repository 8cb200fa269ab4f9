import { makeWebCertificate, runHttps, type RunningServer } from './https-server.ts'
import { isSignedBy, parameterOf, type AwsCredentials } from './sigv4.ts'

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
  const { ca, server: certificate } = makeWebCertificate()
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
    const key = (parameterOf(target, 'X-Amz-Credential') ?? '').split('/')[0]
    const account = accounts.find(({ credentials }) => credentials.accessKeyId === key)
    const fault =
      account === undefined
        ? 'InvalidClientTokenId'
        : parameterOf(target, 'X-Amz-Security-Token') !== account.credentials.sessionToken
          ? 'InvalidClientTokenId'
          : !isSignedBy(
                { method: request.method ?? '', target, headers },
                account.credentials.secretAccessKey,
              )
            ? 'SignatureDoesNotMatch'
            : hasExpired(target)
              ? 'ExpiredToken'
              : undefined
    response.writeHead(fault === undefined ? 200 : 403, { 'content-type': 'text/xml' })
    return response.end(
      fault === undefined && account ? answerOf(account.principal) : faultOf(fault),
    )
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

const hasExpired = (target: string): boolean => {
  const date = parameterOf(target, 'X-Amz-Date') ?? ''
  const atMs = Date.parse(date.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'))
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

const faultOf = (code: string | undefined): string =>
  `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error><Type>Sender</Type><Code>${code}</Code><Message>no</Message></Error>
  <RequestId>01234567-89ab-cdef-0123-456789abcdef</RequestId>
</ErrorResponse>
`
