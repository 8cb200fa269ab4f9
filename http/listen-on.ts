import type { Server } from 'node:net'

export type ListeningAt = { readonly host: string; readonly port: number }

type Listening = {
  readonly listen: (at: { readonly host: string; readonly port: number }) => Promise<unknown>
}

/**
 * Listens, and says in words why it cannot.
 *
 * @throws Error with a message for the operator and the original as its cause.
 */
export const listenOn = async (
  app: Listening,
  server: Server,
  host: string,
  port: number,
): Promise<ListeningAt> => {
  try {
    // Of `localhost` Fastify would open every address, each with a server of its own beside ours.
    await app.listen({ host: host === 'localhost' ? '127.0.0.1' : host, port })
  } catch (cause) {
    const remedy = remedies[(cause as NodeJS.ErrnoException).code ?? '']
    if (remedy === undefined) throw cause
    throw new Error(remedy(host, port), { cause })
  }
  const address = server.address()
  return typeof address === 'object' && address !== null
    ? { host: address.address, port: address.port }
    : { host, port }
}

const remedies: Record<string, (host: string, port: number) => string> = {
  EADDRINUSE: (host, port) =>
    `port ${port} on ${host} is taken; stop what listens there or choose another port`,
  EACCES: (host, port) =>
    `port ${port} on ${host} may not be opened by this user; choose one above 1023 or grant CAP_NET_BIND_SERVICE`,
  EADDRNOTAVAIL: (host, port) =>
    `${host} is not an address of this machine, so port ${port} cannot be opened there; use 0.0.0.0 or one that it has`,
  ENOTFOUND: (host) => `${host} is not an address and no name that resolves to one`,
}
