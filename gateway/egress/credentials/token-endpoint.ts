import { request as httpRequest } from 'node:http'
import type { Socket } from 'node:net'
import type { SecureContext } from 'node:tls'
import { causeText } from '#contract/cause'
import type { Clock } from '#contract/clock'
import type { EgressAllowlist } from '#contract/egress'
import { pass, refuse, type Refusal, type Result } from '#contract/problem'
import { secret } from '#contract/secret'
import { parseStrictObject } from '#identity/json-strict'
import { hostHeader, parseAuthority, type Authority } from '../authority.ts'
import { dial } from '../dial.ts'
import type { NameResolver } from '../resolver.ts'
import type { HeldToken } from './held-tokens.ts'

export type TokenEndpointParts = {
  readonly allowlist: Pick<EgressAllowlist, 'judgeAddress'>
  readonly resolver: Pick<NameResolver, 'resolve'>
  readonly destinationRoots: SecureContext
  readonly connectTimeoutMs: number
  readonly clock: Clock
}

export type TokenEndpoint = {
  readonly authority: Authority
  readonly path: string
  /** Networks closed to all others that it may be in. */
  readonly opens: readonly string[]
}

export type TokenForm = {
  readonly form: URLSearchParams
  readonly authorization?: string
}

type Answer = { readonly status: number; readonly body: Buffer }

const httpsPort = 443
const answerTimeoutMs = 5000
const maxAnswerBytes = 65_536
/** For one whose answer does not say it (RFC 6749 §5.1 only recommends it). */
const unsaidLifetimeSeconds = 60

/** @param url `https:`, as the schema saw to. */
export const tokenEndpoint = (url: string, opens: readonly string[]): TokenEndpoint => {
  const { host, pathname, search } = new URL(url)
  const authority = parseAuthority(host, httpsPort)
  if (!authority.ok) throw new TypeError(`${url}: ${authority.problem.detail ?? 'not one host'}`)
  return { authority: authority.value, path: pathname + search, opens }
}

/**
 * Asks a token endpoint, by the dial function of all that goes out: its name resolved once, every address judged, its
 * certificate verified. A connection serves one question, and a redirect is an answer like any other.
 *
 * @returns Refuses with `credential-unavailable` who cannot be had now, and with `credential-withheld` where it says no.
 * @see RFC 6749 §5
 */
export const askTokenEndpoint = async (
  parts: TokenEndpointParts,
  endpoint: TokenEndpoint,
  asked: TokenForm,
): Promise<Result<HeldToken>> => {
  const found = await addressesOf(parts, endpoint)
  if (!found.ok) return found
  const { host, isAddress, port } = endpoint.authority
  const dialled = await dial({
    addresses: found.value,
    port,
    timeoutMs: parts.connectTimeoutMs,
    signal: new AbortController().signal, // several may wait for it, so nobody's leaving ends it
    tls: { host, isAddress, roots: parts.destinationRoots, alpn: ['http/1.1'] },
  })
  if (!dialled.ok) return unavailable(`${dialled.problem.tag}: ${causeText(dialled.problem.cause)}`)
  const answer = await post(dialled.value.socket, endpoint, asked)
  return typeof answer === 'string' ? unavailable(answer) : readAnswer(answer, parts.clock())
}

const addressesOf = async (
  { resolver, allowlist }: TokenEndpointParts,
  { authority: { host, isAddress, port }, opens }: TokenEndpoint,
): Promise<Result<readonly string[]>> => {
  const found = isAddress ? pass({ addresses: [host] }) : await resolver.resolve(host)
  if (!found.ok) return unavailable(`${found.problem.tag}: ${causeText(found.problem.cause)}`)
  const { addresses } = found.value
  const closed = addresses
    .map((address) => allowlist.judgeAddress(address, port, opens))
    .find(({ isAllowed }) => !isAllowed)
  return closed
    ? unavailable(`${host} leads to ${closed.address}, which is closed (${closed.class})`)
    : pass(addresses)
}

/** @returns The reason as text if there is no whole answer. */
const post = (
  socket: Socket,
  { authority, path }: TokenEndpoint,
  { form, authorization }: TokenForm,
): Promise<Answer | string> =>
  new Promise((resolve) => {
    const settle = (answer: Answer | string) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(answer)
    }
    const body = Buffer.from(form.toString(), 'latin1')
    const timer = setTimeout(
      () => settle(`no answer within ${answerTimeoutMs} ms`),
      answerTimeoutMs,
    )
    const request = httpRequest({
      createConnection: () => socket,
      method: 'POST',
      path,
      setHost: false,
      maxHeaderSize: 16_384,
      headers: [
        ['host', hostHeader(authority, httpsPort)],
        ['content-type', 'application/x-www-form-urlencoded'],
        ['content-length', String(body.length)],
        ['accept', 'application/json'],
        ['accept-encoding', 'identity'],
        ['connection', 'close'],
        ...(authorization === undefined ? [] : [['authorization', authorization]]),
      ].flat(),
    })
    request.on('error', (cause) => settle(causeText(cause)))
    request.on('upgrade', () => settle('an upgrade nobody wanted'))
    request.on('response', (answer) => {
      const chunks: Buffer[] = []
      let bytes = 0
      answer.on('error', (cause) => settle(causeText(cause)))
      answer.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > maxAnswerBytes) settle(`an answer of more than ${maxAnswerBytes} bytes`)
        else chunks.push(chunk)
      })
      answer.on('close', () => {
        if (!answer.complete) return settle('its answer was cut short')
        settle({
          status: answer.statusCode ?? 0,
          body: Buffer.concat(chunks),
        })
      })
    })
    request.end(body)
  })

/** Others are not repeated in a record: whoever was told a secret could say it here. RFC 6749 §5.2, RFC 8693 §2.2.2. */
const errorCodes = [
  'invalid_request',
  'invalid_client',
  'invalid_grant',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_scope',
  'invalid_target',
  'temporarily_unavailable',
  'server_error',
] as const

const readAnswer = ({ status, body }: Answer, nowMs: number): Result<HeldToken> => {
  const parsed = parseStrictObject(body)
  const fields = parsed.ok ? parsed.value : {}
  if (status !== 200) {
    const error =
      errorCodes.find((code) => code === fields['error']) ?? 'no error code that is known'
    const said = `the token endpoint answered ${status}, ${error}`
    return status >= 500 || status === 429
      ? unavailable(said)
      : refuse('credential-withheld', { cause: said })
  }
  const { access_token: token, token_type: type, expires_in: lifetime } = fields
  if (typeof token !== 'string' || !/^[\x21-\x7e]{8,16384}$/.test(token))
    return unavailable('the token endpoint answered without a token that can stand in a header')
  if (typeof type !== 'string' || !/^(?:bearer|n_a)$/i.test(type))
    return unavailable('the token endpoint answered with another type of token than Bearer')
  const seconds =
    typeof lifetime === 'number' ? lifetime : Number(lifetime ?? unsaidLifetimeSeconds)
  if (!Number.isFinite(seconds) || seconds <= 0)
    return unavailable('the token endpoint answered with a token that has no life')
  return pass({ token: secret(token), issuedAtMs: nowMs, expiresAtMs: nowMs + seconds * 1000 })
}

const unavailable = (cause: unknown): Refusal =>
  refuse('credential-unavailable', { cause, headers: { 'Retry-After': '1' } })
