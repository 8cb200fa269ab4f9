import {
  answer,
  data,
  frame,
  headers,
  reset,
  status200,
  uint32,
  windowUpdate,
} from '../../../http/h2-client/scripted-peer.ts'
import { code, type Fault } from './fault.ts'

const head = (id: number, last = false) => headers(id, status200, last)

/** Streams (RFC 9113 §5). */
export const streamFaults: readonly Fault[] = [
  ['5.1', 'DATA on an idle stream', () => data(9_999, 'x'), 'connection', code.protocol],
  ['5.1', 'HEADERS on an idle stream', () => head(9_999), 'connection', code.protocol],
  ['5.1', 'RST_STREAM on an idle stream', () => reset(9_999, 0), 'connection', code.protocol],
  [
    '5.1',
    'WINDOW_UPDATE on an idle stream',
    () => windowUpdate(9_999, 1),
    'connection',
    code.protocol,
  ],
  [
    '5.1',
    'DATA after END_STREAM',
    (a) => answer(a) + data(a, 'more'),
    'connection',
    code.streamClosed,
  ],
  ['5.1', 'HEADERS after END_STREAM', (a) => answer(a) + head(a), 'connection', code.streamClosed],
  ['5.1', 'RST_STREAM after END_STREAM', (a) => answer(a) + reset(a, 0), 'none'],
  ['5.1', 'WINDOW_UPDATE after END_STREAM', (a) => answer(a) + windowUpdate(a, 10), 'none'],
  ['5.1', 'PRIORITY on an idle stream', () => frame(2, 0, 9_999, `${uint32(1)}\x10`), 'none'],
  ['5.1.1', 'HEADERS on a stream of the peer', () => head(2), 'connection', code.protocol],
  ['5.1.1', 'DATA on a stream of the peer', () => data(2, 'x'), 'connection', code.protocol],
  ['5.4.2', 'RST_STREAM that is answered by nothing', (a) => reset(a, code.cancel), 'stream'],
]
