import { bad, good, type Outcome } from '../outcome.ts'

const maxBlocks = 50
const maxTextChars = 262_144
const certificateBlock = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----/g

export const pemOf = (label: string, der: Buffer): string => {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}

/**
 * Every certificate of a PEM text, as DER. Text between the blocks is passed over, as tools write it there; a block that
 * is begun and not ended, or is not base64, is a fault. (`X509Certificate` would take the first block and say nothing.)
 */
export const certificatesOf = (pem: string): Outcome<readonly [Buffer, ...Buffer[]]> => {
  if (pem.length > maxTextChars) return bad('it is too large')
  const blocks = [...pem.matchAll(certificateBlock)]
  const begun = pem.split('-----BEGIN ').length - 1
  if (blocks.length !== begun) return bad('something in it is not a whole PEM certificate')
  if (blocks.length > maxBlocks) return bad(`it has more than ${maxBlocks} certificates`)
  const [first, ...rest] = blocks.map(([, base64 = '']) => Buffer.from(base64, 'base64'))
  return first ? good([first, ...rest]) : bad('it has no PEM certificate in it')
}
