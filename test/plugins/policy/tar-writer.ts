import { gzipSync } from 'node:zlib'

export type TarMember = {
  readonly name: string
  readonly content?: string | Buffer
  readonly type?: string
  readonly prefix?: string
}

/** One member as ustar has it, so that a test can make archives that no tool would. */
export const tarMember = ({ name, content = '', type = '0', prefix = '' }: TarMember): Buffer => {
  const bytes = Buffer.from(content)
  const header = Buffer.alloc(512)
  header.write(name, 0, 100, 'latin1')
  header.write('0000600\0', 100)
  header.write(`${bytes.length.toString(8).padStart(11, '0')}\0`, 124)
  header.write('00000000000\0', 136)
  header.write('        ', 148)
  header.write(type, 156)
  header.write('ustar\x0000', 257)
  header.write(prefix, 345, 155, 'latin1')
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return Buffer.concat([header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)])
}

export const tarOf = (members: readonly TarMember[]): Buffer =>
  Buffer.concat([...members.map(tarMember), Buffer.alloc(1024)])

export const bundleOf = (members: readonly TarMember[]): Buffer => gzipSync(tarOf(members))
