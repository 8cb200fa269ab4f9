import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  bigBytes,
  freePort,
  type RealPeer,
  startProgram,
  stopProgram,
  tlsPath,
} from './real-peer.ts'

/** nghttp2's own server: it echoes what is uploaded, and ends every answer with a trailer. */
export const startNghttpd = (command: string) => async (): Promise<RealPeer> => {
  const folder = mkdtempSync(join(tmpdir(), 'h2-nghttpd-'))
  writeFileSync(join(folder, 'hello'), 'hello')
  writeFileSync(join(folder, 'trailers'), 'body')
  writeFileSync(join(folder, 'big'), Buffer.alloc(bigBytes, 'b'))
  const port = await freePort()
  const options = ['--address', '127.0.0.1', '--htdocs', folder, '--echo-upload']
  const trailer = ['--trailer', 'x-trailer: at the end']
  const files = [tlsPath('server.key.pem'), tlsPath('server.pem')]
  const args = [...options, ...trailer, String(port), ...files]
  const child = await startProgram(command, args, port)
  return {
    port,
    stop: async () => {
      await stopProgram(child)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
