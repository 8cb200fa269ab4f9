import { createReadStream } from 'node:fs'

/**
 * Reads a file up to a size; undefined if it has more. It also ends for what has no size or no end, such as a pipe or a
 * device.
 */
export const readBounded = async (path: string, maxBytes: number): Promise<Buffer | undefined> => {
  const chunks: Buffer[] = []
  for await (const chunk of createReadStream(path, { end: maxBytes })) chunks.push(chunk as Buffer)
  const bytes = Buffer.concat(chunks)
  return bytes.length > maxBytes ? undefined : bytes
}
