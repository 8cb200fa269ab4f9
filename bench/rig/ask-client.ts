import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { endOf, otherCore, startOn, type Running } from './processes.ts'
import type { TlsClientOptions } from './tls-client.ts'

const withinMs = 300_000
const program = join(import.meta.dirname, 'tls-client.ts')

/** Starts a client and waits for the line that it prints. */
export const startClient = async (
  folder: string,
  options: TlsClientOptions,
): Promise<{ readonly line: unknown; readonly running: Running }> => {
  const output = join(folder, 'client.out')
  writeFileSync(output, '')
  const command = [process.execPath, program, JSON.stringify(options)]
  const running = startOn(otherCore, command, { output, folder })
  const until = performance.now() + withinMs
  for (;;) {
    const text = readFileSync(output, 'utf8')
    const at = text.lastIndexOf('{"')
    if (at >= 0 && text.endsWith('\n'))
      return { line: JSON.parse(text.slice(at)) as unknown, running }
    if (running.hasEnded() || performance.now() > until)
      throw new Error(`the client says nothing; ${output} ends with:\n${endOf(output)}`)
    await sleep(50)
  }
}

/** What a client prints that ends by itself. */
export const askClient = async (folder: string, options: TlsClientOptions): Promise<unknown> => {
  const { line, running } = await startClient(folder, options)
  await running.stop()
  return line
}
