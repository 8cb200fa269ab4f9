/** Whether a Content-Type is that of gRPC. Of gRPC-Web it is not: that needs nothing of HTTP/2. */
export const isGrpcType = (contentType: string): boolean => grpcType.test(contentType)

const grpcType = /^application\/grpc(?:[+;]|$)/i

/** Codes of gRPC that an HTTP status stands for. */
const statusOf: Readonly<Record<number, number>> = {
  400: 13, // INTERNAL
  401: 16, // UNAUTHENTICATED
  403: 7, // PERMISSION_DENIED
  404: 12, // UNIMPLEMENTED
  429: 14, // UNAVAILABLE
  502: 14,
  503: 14,
  504: 14,
}
const unknown = 2
export const grpcUnavailable = 14

/**
 * What a client of gRPC makes of an HTTP status that comes without one of gRPC.
 *
 * @see https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
 */
export const grpcStatusOf = (httpStatus: number): number => statusOf[httpStatus] ?? unknown

/** The `grpc-status` of a head or of trailers, if it is one (0 to 16). */
export const grpcStatusIn = (headers: readonly string[]): number | undefined => {
  for (let i = 0; i + 1 < headers.length; i += 2)
    if (headers[i] === 'grpc-status')
      return code.test(headers[i + 1] ?? '') ? Number(headers[i + 1]) : undefined
  return undefined
}

const code = /^(?:[0-9]|1[0-6])$/

/** A text as `grpc-message` has it: UTF-8, all but plain ASCII by percent (PROTOCOL-HTTP2, Percent-Encoded). */
export const grpcMessage = (text: string): string => {
  let encoded = ''
  for (const byte of Buffer.from(text, 'utf8'))
    encoded +=
      byte < 0x20 || byte > 0x7e || byte === percent
        ? `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
        : String.fromCharCode(byte)
  return encoded
}

const percent = 0x25
