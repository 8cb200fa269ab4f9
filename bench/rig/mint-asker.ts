import { readFileSync } from 'node:fs'
import { connect as connectTls } from 'node:tls'
import { tokenTypes } from '#contract/token-exchange'
import { secret } from '#contract/secret'
import { exchangeClient } from '#gateway/exchange-client'
import { h2Client, type Connect } from '#http/h2-client/h2-client'
import { ids, type Certificates } from './mesh.ts'

/** Asks an exchange for tokens with a gateway's own client. */
export type MintAsker = {
  /**
   * @param atOnce So many are under way at any time.
   * @returns How long each took, in milliseconds.
   * @throws Error if one is refused.
   */
  readonly mint: (
    count: number,
    atOnce: number,
    nextToken: () => string,
  ) => Promise<readonly number[]>
  readonly close: () => Promise<void>
}

const timeoutMs = 10_000

export const mintAsker = (url: string, { gateway, meshRoots }: Certificates): MintAsker => {
  const { hostname, port, host } = new URL(url)
  const tls = {
    host: hostname,
    port: Number(port),
    servername: hostname,
    ca: readFileSync(meshRoots),
    cert: readFileSync(gateway.certificate),
    key: readFileSync(gateway.key),
    ALPNProtocols: ['h2'],
  }
  const connect: Connect = ({ onread }) =>
    new Promise((resolve) => {
      const options = { ...tls, onread } // which is of `net.connect`, and in its types alone
      const socket = connectTls(options)
      socket.setNoDelay(true)
      socket.once('secureConnect', () => resolve({ ok: true, socket }))
      socket.once('error', (cause) => resolve({ ok: false, kind: 'unreachable', cause }))
    })
  const client = h2Client({ connect, limits: { maxConnections: 1 } })
  const ask = exchangeClient({ client: () => client, authority: host, timeoutMs })

  const one = async (nextToken: () => string, decisionId: string): Promise<number> => {
    const began = performance.now()
    const minted = await ask({
      subjectToken: secret(nextToken()),
      audience: ids.orders,
      requestedTokenType: tokenTypes.jwt,
      decisionId,
    })
    if (!minted.ok) throw new Error(`no token: ${JSON.stringify(minted.problem)}`)
    return performance.now() - began
  }
  return {
    mint: async (count, atOnce, nextToken) => {
      const tookMs: number[] = []
      let begun = 0
      const caller = async () => {
        while (begun < count) tookMs.push(await one(nextToken, `bench-${begun++}`))
      }
      await Promise.all(Array.from({ length: atOnce }, caller))
      return tookMs
    },
    close: () => client.close(),
  }
}
