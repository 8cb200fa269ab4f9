import type { ServerOptions } from 'node:https'
import { constants } from 'node:crypto'
import {
  createSecureContext,
  type SecureContext,
  type Server,
  type SecureContextOptions,
} from 'node:tls'
import type { ServerCertificate } from './certificates.ts'
import { maxTlsVersion, tlsProfile, type TlsProfile, type TlsProfileName } from './tls-profiles.ts'

export type TlsSettings = {
  /** The first one serves callers who name no server, and those who name an unknown one if that is allowed. */
  readonly certificates: readonly ServerCertificate[]
  readonly profile: TlsProfileName | TlsProfile
  /** What a caller gets who asks by SNI for a name that no certificate has: the first certificate, unless refused. */
  readonly unknownServerName?: 'default' | 'refuse'
  /** Whether callers are asked for a certificate; undefined: they are not. */
  readonly clientCertificates?: ClientCertificates | undefined
  /**
   * Whether a connection may resume an earlier one. A resumed one is as trusted as the first was, even if the roots have
   * changed since, so by default it may not where callers are asked for certificates.
   */
  readonly sessionTickets?: boolean
  /** What they are sealed with, 48 bytes: shared by processes that serve one port. By default this process's own. */
  readonly ticketKeys?: Buffer | undefined
  /** What may be spoken, best first (RFC 7301); HTTP/1.1 alone. */
  readonly protocols?: readonly ('h2' | 'http/1.1')[]
  /** How long a caller may take for its handshake; 10 seconds. */
  readonly handshakeTimeoutMs?: number
}

export type ClientCertificates = {
  /** PEM roots that callers' certificates must lead to. */
  readonly roots: readonly string[]
  /** `request`: a caller without one, or with a bad one, gets in, and `socket.authorized` is false. */
  readonly mode: 'request' | 'require'
}

export type TlsServing = {
  readonly options: ServerOptions
  /**
   * New handshakes get these; open connections stay as they are.
   *
   * @throws Error for what OpenSSL does not take; then nothing has changed.
   */
  readonly reload: (
    server: Server,
    certificates: readonly ServerCertificate[],
    clientCertificates: ClientCertificates | undefined,
  ) => void
}

/**
 * Makes what `node:https` needs to serve several certificates by SNI.
 *
 * @throws Error naming the certificate that cannot be served, and why.
 * @see RFC 6066 §3, RFC 9325
 */
export const serveTls = (settings: TlsSettings): TlsServing => {
  let byName = contextsByName(settings)

  const serverNameChosen = (
    serverName: string,
    done: (error: Error | null, context?: SecureContext) => void,
  ) => {
    const context = findContext(byName, serverName.toLowerCase())
    if (context === undefined && settings.unknownServerName === 'refuse')
      done(new Error('no certificate has this server name'))
    else done(null, context)
  }

  return {
    options: {
      ...contextOptions(settings, firstOf(settings.certificates)),
      ALPNProtocols: [...(settings.protocols ?? ['http/1.1'])],
      SNICallback: serverNameChosen,
      requestCert: settings.clientCertificates !== undefined,
      rejectUnauthorized: settings.clientCertificates?.mode === 'require',
      handshakeTimeout: settings.handshakeTimeoutMs ?? 10_000,
    },
    reload: (server, certificates, clientCertificates) => {
      if (clientCertificates?.mode !== settings.clientCertificates?.mode)
        throw new Error('whether callers need a certificate cannot change without a restart')
      const changed = { ...settings, certificates, clientCertificates }
      const next = contextsByName(changed)
      server.setSecureContext(contextOptions(changed, firstOf(certificates)))
      byName = next
    },
  }
}

const firstOf = (certificates: readonly ServerCertificate[]): ServerCertificate => {
  const [first] = certificates
  if (first === undefined) throw new Error('a TLS listener needs a certificate')
  return first
}

/** Contexts by the names of their certificates; of two with one name the first wins. */
const contextsByName = (settings: TlsSettings): ReadonlyMap<string, SecureContext> => {
  const byName = new Map<string, SecureContext>()
  settings.certificates.forEach((certificate, i) => {
    if (certificate.names.length === 0 && i > 0)
      throw new Error(
        `${certificate.certificateName}: has no DNS name, so only the first certificate of a listener may be it`,
      )
    const context = contextOf(settings, certificate)
    for (const name of certificate.names) if (!byName.has(name)) byName.set(name, context)
  })
  return byName
}

const contextOf = (settings: TlsSettings, certificate: ServerCertificate): SecureContext => {
  try {
    return createSecureContext(contextOptions(settings, certificate))
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === undefined) throw cause
    const remedy = opensslRemedies[code] ?? 'see the cause'
    throw new Error(`${certificate.certificateName}: cannot be served (${code}): ${remedy}`, {
      cause,
    })
  }
}

const opensslRemedies: Record<string, string> = {
  ERR_SSL_EE_KEY_TOO_SMALL: 'its key is too short; RSA needs 2048 bits',
  ERR_SSL_CA_KEY_TOO_SMALL: 'the key of one of its issuers is too short; RSA needs 2048 bits',
  ERR_SSL_CA_MD_TOO_WEAK: 'it is signed with a broken hash; issue it again with SHA-256',
  ERR_SSL_NO_CIPHER_MATCH: 'no cipher of the profile is known; check its spelling',
  ERR_CRYPTO_OPERATION_FAILED: 'no group of the profile is known; check its spelling',
}

/** Exact names go before wildcards, and a wildcard stands for exactly one label. */
const findContext = (
  byName: ReadonlyMap<string, SecureContext>,
  name: string,
): SecureContext | undefined => {
  const exact = byName.get(name)
  if (exact !== undefined) return exact
  const dot = name.indexOf('.')
  return dot > 0 ? byName.get(`*${name.slice(dot)}`) : undefined
}

/** What one certificate is served with. */
export const contextOptions = (
  {
    profile,
    clientCertificates,
    sessionTickets = clientCertificates === undefined,
    ticketKeys,
  }: Pick<TlsSettings, 'profile' | 'clientCertificates' | 'sessionTickets' | 'ticketKeys'>,
  { certificate, key }: Pick<ServerCertificate, 'certificate' | 'key'>,
): SecureContextOptions => {
  const { minVersion, ciphers, groups } = tlsProfile(profile)
  return {
    cert: certificate,
    key: key.reveal(),
    minVersion,
    maxVersion: maxTlsVersion,
    ciphers,
    ecdhCurve: groups,
    honorCipherOrder: true,
    secureOptions:
      constants.SSL_OP_NO_RENEGOTIATION | (sessionTickets ? 0 : constants.SSL_OP_NO_TICKET),
    ...(ticketKeys ? { ticketKeys } : {}),
    ...(clientCertificates ? { ca: [...clientCertificates.roots] } : {}),
  }
}
