import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { startExchange } from './gateway.ts'
import { makeCertificates } from './mesh.ts'
import { tokenMaker } from './tokens.ts'
import { startUpstream } from './upstream.ts'

/**
 * What stands around a gateway: certificates, an issuer's tokens, a service and an exchange.
 *
 * @param ending Gets what ends them.
 */
export const startParts = async (folder: string, ending: (() => Promise<void>)[]) => {
  const certificates = await makeCertificates(folder)
  const tokens = tokenMaker(folder)
  const upstream = await startUpstream(folder, certificates)
  ending.push(upstream.running.stop)
  const exchange = await startExchange({ folder, certificates, tokens })
  ending.push(exchange.running.stop)
  return { folder, certificates, tokens, upstream, exchange }
}

/** Builds what is published. @returns Its folder, to be run in the place of the sources. */
export const builtTree = (): string => {
  const root = join(import.meta.dirname, '../..')
  execFileSync(process.execPath, [join(root, 'build.ts')], { stdio: 'inherit' })
  return join(root, 'dist')
}
