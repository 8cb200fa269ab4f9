import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { readTar } from '#plugins/policy/tar'
import { tarMember, tarOf, type TarMember } from './tar-writer.ts'

const limits = { maxMembers: 3, maxNameBytes: 120 }
const read = (members: readonly TarMember[]) => readTar(tarOf(members), limits)

suite('a tar archive', () => {
  test('gives its members by name', () => {
    const members = read([
      { name: '/data.json', content: '{}' },
      { name: 'folder/long.rego', content: 'x'.repeat(1000), prefix: 'pre' },
      { name: 'empty', type: '\0' },
    ])
    assert.deepEqual(
      [...members].map(([name, content]) => [name, content.length]),
      [
        ['data.json', 2],
        ['pre/folder/long.rego', 1000],
        ['empty', 0],
      ],
    )
  })

  for (const [fault, members, reason] of [
    ['a link', [{ name: 'a', type: '2' }], /not a plain file/],
    ['a hard link', [{ name: 'a', type: '1' }], /not a plain file/],
    ['a device', [{ name: 'a', type: '3' }], /not a plain file/],
    ['a folder', [{ name: 'a', type: '5' }], /not a plain file/],
    ['an extended header', [{ name: 'a', type: 'x', content: '11 path=b\n' }], /not a plain file/],
    ['a name that climbs', [{ name: '../a' }], /"\.\.\/a"/],
    ['a name that climbs later', [{ name: 'a/../../b' }], /name/],
    ['a name that climbs from a prefix', [{ name: 'a', prefix: '..' }], /name/],
    ['a dot', [{ name: './a' }], /name/],
    ['two slashes', [{ name: '//a' }], /name/],
    ['a backslash', [{ name: 'a\\b' }], /name/],
    ['a control character', [{ name: 'a\nb' }], /name/],
    ['no name', [{ name: '' }], /name/],
    ['a name too long', [{ name: 'a', prefix: 'b'.repeat(120) }], /too long/],
    ['a name twice', [{ name: 'a' }, { name: '/a' }], /twice/],
    ['too many members', ['a', 'b', 'c', 'd'].map((name) => ({ name })), /too many/],
  ] as const)
    test(`with ${fault} is refused`, () => assert.throws(() => read(members), { message: reason }))

  const whole = tarOf([{ name: 'a', content: 'x'.repeat(600) }])
  for (const [fault, archive, reason] of [
    ['without an end', tarMember({ name: 'a' }), /end is missing/],
    ['cut off in a member', whole.subarray(0, 700), /cut off/],
    ['cut off in a header', whole.subarray(0, 500), /end is missing/],
    ['that is empty', Buffer.alloc(0), /end is missing/],
    ['with a damaged header', Buffer.from(whole).fill(1, 10, 11), /damaged/],
    ['with a size that is no number', damaged(whole, 124, 'x'), /damaged/],
    ['with a size in base 256', damaged(whole, 124, '\x80'), /damaged/],
  ] as const)
    test(`${fault} is refused`, () =>
      assert.throws(() => readTar(archive, limits), { message: reason }))
})

/** Changes a byte of the first header and makes its checksum fit again. */
function damaged(archive: Buffer, offset: number, value: string): Buffer {
  const copy = Buffer.from(archive)
  copy.write(value, offset, 'latin1')
  copy.write('        ', 148)
  const sum = copy.subarray(0, 512).reduce((total, byte) => total + byte, 0)
  copy.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return copy
}
