import {
  Client,
  credentials,
  Server,
  ServerCredentials,
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
} from '@grpc/grpc-js'

/* A service of gRPC by the library that many services are written with. Its messages are plain bytes. */

export type EchoHandlers = {
  readonly unary: handleUnaryCall<Buffer, Buffer>
  readonly down: handleServerStreamingCall<Buffer, Buffer>
  readonly up: handleClientStreamingCall<Buffer, Buffer>
  readonly both: handleBidiStreamingCall<Buffer, Buffer>
}

const asIs = (bytes: Buffer): Buffer => bytes
const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/test.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
})
export const echoService = {
  unary: method('unary', false, false),
  down: method('down', false, true),
  up: method('up', true, false),
  both: method('both', true, true),
} as const

export const startGrpcServer = async (
  {
    cert,
    key,
    roots,
    asksForCertificates = true,
  }: {
    readonly cert: string
    readonly key: string
    readonly roots: string
    readonly asksForCertificates?: boolean
  },
  handlers: EchoHandlers,
): Promise<{ readonly port: number; readonly stop: () => void }> => {
  const server = new Server()
  server.addService(echoService, handlers)
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(
      '127.0.0.1:0',
      ServerCredentials.createSsl(
        Buffer.from(roots),
        [{ cert_chain: Buffer.from(cert), private_key: Buffer.from(key) }],
        asksForCertificates,
      ),
      (error, bound) => (error ? reject(error) : resolve(bound)),
    ),
  )
  return { port, stop: () => server.forceShutdown() }
}

/** A client of `echoService` on a connection of its own. */
export const grpcClient = (port: number, ca: string): Client =>
  new Client(`127.0.0.1:${port}`, credentials.createSsl(Buffer.from(ca)), {
    'grpc.ssl_target_name_override': 'localhost',
    'grpc.default_authority': 'localhost',
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_retries': 0,
  })
