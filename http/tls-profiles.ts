import type { SecureVersion } from 'node:tls'

/** Which protocol versions and ciphers a listener offers. */
export type TlsProfile = {
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
  /** OpenSSL names, best first, separated by `:`. */
  readonly ciphers: string
  /** Key exchange groups, best first, separated by `:`. */
  readonly groups: string
}

const tls13Ciphers = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
]
/** Forward secrecy and AEAD, all of them. */
const tls12Ciphers = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
]
/** The first one withstands a quantum computer that reads today's recordings; callers who lack it take the next. */
const groups = 'X25519MLKEM768:X25519:prime256v1:secp384r1'

/** @see https://wiki.mozilla.org/Security/Server_Side_TLS, version 5.7, less its finite-field groups */
export const tlsProfiles = {
  modern: { minVersion: 'TLSv1.3', ciphers: tls13Ciphers.join(':'), groups },
  intermediate: {
    minVersion: 'TLSv1.2',
    ciphers: [...tls13Ciphers, ...tls12Ciphers].join(':'),
    groups,
  },
} as const satisfies Record<string, TlsProfile>

export type TlsProfileName = keyof typeof tlsProfiles

export const tlsProfile = (profile: TlsProfileName | TlsProfile): TlsProfile =>
  typeof profile === 'string' ? tlsProfiles[profile] : profile

export const maxTlsVersion: SecureVersion = 'TLSv1.3'
