import {
  answer,
  data,
  frame,
  headers,
  ping,
  status200,
  uint32,
} from '../../../http/h2-client/scripted-peer.ts'
import { code, type Fault } from './fault.ts'

const head = (id: number, last = false) => headers(id, status200, last)
const oversized = (type: number, streamId: number) =>
  frame(type, 0, streamId, 'x'.repeat(100), 16_385)

/** Frames and field blocks (RFC 9113 §4). */
export const frameFaults: readonly Fault[] = [
  ['4.1', 'an unknown frame type', (a) => frame(0xbb, 0xff, a, 'whatever'), 'none'],
  [
    '4.1',
    'the reserved bit of a stream id',
    (a) => answer(a).replaceAll(uint32(a), uint32(a + 2 ** 31)),
    'none',
  ],
  [
    '4.1',
    'flags that mean nothing',
    (a) => frame(1, 0x04 | 0xd2, a, status200) + data(a, 'x'),
    'none',
  ],
  [
    '4.2',
    'DATA beyond our frame size',
    (a) => head(a) + oversized(0, a),
    'connection',
    code.frameSize,
  ],
  ['4.2', 'HEADERS beyond our frame size', (a) => oversized(1, a), 'connection', code.frameSize],
  ['4.2', 'SETTINGS beyond our frame size', () => oversized(4, 0), 'connection', code.frameSize],
  [
    '4.2',
    'an unknown frame beyond our frame size',
    (a) => oversized(0xbb, a),
    'connection',
    code.frameSize,
  ],
  ['4.3', 'an index of 0', (a) => headers(a, '\x80'), 'connection', code.compression],
  [
    '4.3',
    'an index beyond the static table',
    (a) => headers(a, `${status200}\xbe`),
    'connection',
    code.compression,
  ],
  [
    '4.3',
    'a name of the dynamic table',
    (a) => headers(a, `${status200}\x7e\x01x`),
    'connection',
    code.compression,
  ],
  [
    '4.3',
    'a block that ends in a name',
    (a) => headers(a, `${status200}\0\x05ab`),
    'connection',
    code.compression,
  ],
  [
    '4.3',
    'a block that ends before a value',
    (a) => headers(a, `${status200}\0\x01a`),
    'connection',
    code.compression,
  ],
  [
    '4.3',
    'an integer without an end',
    (a) => headers(a, `${status200}\0\x7f${'\xff'.repeat(20)}\x7f`),
    'connection',
    code.compression,
  ],
  [
    '4.3',
    'an integer of 2^31',
    (a) => headers(a, `${status200}\xff\x81\xff\xff\xff\x07`),
    'connection',
    code.compression,
  ],
  [
    '4.3',
    'Huffman padding of a whole octet',
    (a) => headers(a, `${status200}\0\x01a\x82\x1f\xff`),
    'connection',
    code.compression,
  ],
  [
    '4.3',
    'Huffman padding of zeros',
    (a) => headers(a, `${status200}\0\x01a\x81\x18`),
    'connection',
    code.compression,
  ],
  [
    '4.3',
    'Huffman EOS',
    (a) => headers(a, `${status200}\0\x01a\x84\xff\xff\xff\xff`),
    'connection',
    code.compression,
  ],
  [
    '4.3',
    'a table larger than we allow',
    (a) => headers(a, `\x3f\x01${status200}`),
    'connection',
    code.compression,
  ],
  [
    '4.3',
    'a table size update after a field',
    (a) => headers(a, `${status200}\x20`),
    'connection',
    code.compression,
  ],
  [
    '4.3',
    'two table size updates to 0',
    (a) => headers(a, `\x20\x20${status200}`) + data(a, 'x'),
    'none',
  ],
  [
    '4.3',
    'incremental indexing into a table of 0',
    (a) => headers(a, `${status200}\x40\x01a\x01b`) + data(a, 'x'),
    'none',
  ],
  [
    '4.3',
    'a frame between HEADERS and CONTINUATION',
    (a) => frame(1, 0, a, status200) + ping() + frame(9, 4, a, ''),
    'connection',
    code.protocol,
  ],
  [
    '4.3',
    'an unknown frame between HEADERS and CONTINUATION',
    (a) => frame(1, 0, a, status200) + frame(0xbb, 0, a, ''),
    'connection',
    code.protocol,
  ],
  [
    '4.3',
    'another stream between HEADERS and CONTINUATION',
    (a, b) => frame(1, 0, a, status200) + head(b),
    'connection',
    code.protocol,
  ],
]
