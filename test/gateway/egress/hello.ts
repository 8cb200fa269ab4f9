export type HelloOptions = {
  readonly recordBytes?: number
  readonly encrypted?: boolean
  readonly names?: readonly string[]
  readonly twice?: boolean
  readonly nameType?: number
}

/** A ClientHello with what a test wants in it. */
export function helloOf(
  name: string,
  {
    recordBytes = 16_000,
    encrypted = false,
    names = [name],
    twice = false,
    nameType = 0,
  }: HelloOptions = {},
): Buffer {
  const vector = (size: number, body: Buffer) => {
    const length = Buffer.alloc(size)
    length.writeUIntBE(body.length, 0, size)
    return Buffer.concat([length, body])
  }
  const extension = (type: number, body: Buffer) =>
    Buffer.concat([Buffer.from([type >> 8, type & 0xff]), vector(2, body)])
  const list = names.map((one) =>
    Buffer.concat([Buffer.from([nameType]), vector(2, Buffer.from(one, 'latin1'))]),
  )
  const serverName = extension(0, vector(2, Buffer.concat(list)))
  const extensions = Buffer.concat([
    extension(43, Buffer.from([2, 3, 4])),
    serverName,
    ...(twice ? [serverName] : []),
    ...(encrypted ? [extension(0xfe0d, Buffer.from([0]))] : []),
  ])
  const hello = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    vector(1, Buffer.alloc(0)),
    vector(2, Buffer.from([0x13, 0x01])),
    vector(1, Buffer.from([0])),
    vector(2, extensions),
  ])
  const message = Buffer.concat([Buffer.from([1]), vector(3, hello)])
  const records: Buffer[] = []
  for (let at = 0; at < message.length; at += recordBytes)
    records.push(Buffer.from([22, 3, 1]), vector(2, message.subarray(at, at + recordBytes)))
  return Buffer.concat(records)
}
