/**
 * The two spellings of an ECDSA signature: JOSE joins r and s, each as long as a coordinate (IEEE P1363); OpenSSL wants
 * a DER sequence of two integers. Done by hand because it takes a tenth of a microsecond, see signature-algorithm.ts.
 */

const sequenceTag = 0x30
const integerTag = 0x02

/**
 * @param signature r and s, `coordinateBytes` each.
 * @see RFC 7518 §3.4, RFC 3279 §2.2.3
 */
export const p1363ToDer = (signature: Buffer, coordinateBytes: number): Buffer => {
  const rStart = firstSignificant(signature, 0, coordinateBytes)
  const sStart = firstSignificant(signature, coordinateBytes, 2 * coordinateBytes)
  const rBytes = integerBytes(signature, rStart, coordinateBytes)
  const sBytes = integerBytes(signature, sStart, 2 * coordinateBytes)
  const contentBytes = 4 + rBytes + sBytes
  const headerBytes = contentBytes < 128 ? 2 : 3 // only P-521 needs the long form
  const der = Buffer.allocUnsafe(headerBytes + contentBytes)
  let at = 0
  der[at++] = sequenceTag
  if (headerBytes === 3) der[at++] = 0x81
  der[at++] = contentBytes
  at = writeInteger(der, at, signature, rStart, coordinateBytes, rBytes)
  writeInteger(der, at, signature, sStart, 2 * coordinateBytes, sBytes)
  return der
}

/**
 * @param der As OpenSSL writes it; it is ours, so its form is not checked.
 * @returns r and s, `coordinateBytes` each.
 */
export const derToP1363 = (der: Buffer, coordinateBytes: number): Buffer => {
  const joined = Buffer.alloc(2 * coordinateBytes)
  let at = (der[1] ?? 0) < 128 ? 2 : 3
  for (const end of [coordinateBytes, 2 * coordinateBytes]) {
    const length = der[at + 1] ?? 0
    const integer = der.subarray(at + 2, at + 2 + length)
    const significant = integer.subarray(Math.max(0, length - coordinateBytes))
    significant.copy(joined, end - significant.length)
    at += 2 + length
  }
  return joined
}

/** The last byte always counts: zero is one byte long. */
const firstSignificant = (bytes: Buffer, from: number, end: number): number => {
  let at = from
  while (at < end - 1 && bytes[at] === 0) at++
  return at
}

/** A set top bit would make it negative, so a zero goes before it. */
const needsPadding = (bytes: Buffer, start: number): boolean => ((bytes[start] ?? 0) & 0x80) !== 0

const integerBytes = (bytes: Buffer, start: number, end: number): number =>
  end - start + (needsPadding(bytes, start) ? 1 : 0)

const writeInteger = (
  der: Buffer,
  at: number,
  bytes: Buffer,
  start: number,
  end: number,
  length: number,
): number => {
  der[at++] = integerTag
  der[at++] = length
  if (needsPadding(bytes, start)) der[at++] = 0
  bytes.copy(der, at, start, end)
  return at + end - start
}
