import assert from 'node:assert/strict'
import type { RequestHead } from '#contract/request-head'
import { head } from './wire.ts'

/**
 * What a caller may send and what becomes of it, by groups as in the specification of the gate. `refused`: status and
 * problem tag, and the connection ends. `seen`: it is admitted, and this is checked of what the handler saw.
 */
export type Row = { readonly name: string; readonly send: string } & (
  | { readonly refused: readonly [status: number, tag: string | null] }
  | { readonly seen: (head: RequestHead) => void }
)

const get = 'GET /a HTTP/1.1'
const post = 'POST /a HTTP/1.1'
const valueOf = ({ headers }: RequestHead, name: string) => headers[headers.indexOf(name) + 1]
const lacks = (name: string) => (head: RequestHead) =>
  assert.ok(!head.headers.includes(name), `${name} came through: ${head.headers.join()}`)
const hostIs = (host: string, port?: number) => (head: RequestHead) => {
  assert.equal(head.host, host)
  assert.equal(head.port, port)
}
const pathIs =
  (path: string, query = '') =>
  (head: RequestHead) => {
    assert.equal(head.path, path)
    assert.equal(head.query, query)
  }
const refused = (name: string, send: string, tag: string | null, status = 400): Row => ({
  name,
  send,
  refused: [status, tag],
})

export const rows: Record<string, readonly Row[]> = {
  Host: [
    ...[
      '',
      'a/b@c',
      'a b',
      'a, b',
      'a:99999',
      'a:0',
      'a:',
      'a:080',
      'a:1:2',
      'user@a',
      'a..b',
      '.a',
      'ä',
      '[::1',
      '[::1%25eth0]',
      '[fe80::1]x',
      '::1',
      'a_b',
      'a%2eb',
    ].map((host) => refused(`Host: ${host}`, head(get, `Host: ${host}`), 'host-invalid')),
    refused('two Hosts', head(get, 'Host: a', 'Host: a'), 'host-invalid'),
    refused('no Host', `${get}\r\n\r\n`, 'host-invalid'),
    {
      name: 'upper case and a port',
      send: head(get, 'Host: API.Example:8443'),
      seen: hostIs('api.example', 8443),
    },
    {
      name: 'a dot at the end',
      send: head(get, 'Host: api.example.'),
      seen: hostIs('api.example'),
    },
    {
      name: 'IPv6 in one spelling',
      send: head(get, 'Host: [0:0::1]:80'),
      seen: hostIs('[::1]', 80),
    },
    {
      name: 'the header says what was understood',
      send: head(get, 'Host: A.Example.:8443'),
      seen: (head) => assert.equal(valueOf(head, 'host'), 'a.example:8443'),
    },
  ],
  'absolute form': [
    refused(
      'an absolute target',
      head('GET http://evil/x HTTP/1.1', 'Host: good'),
      'request-malformed',
    ),
    refused(
      'with the same host',
      head('GET http://good/x HTTP/1.1', 'Host: good'),
      'request-malformed',
    ),
    refused(
      'with user info',
      head('GET http://u:p@good/x HTTP/1.1', 'Host: good'),
      'request-malformed',
    ),
    refused(
      'with a port that is none',
      head('GET http://good:99999/x HTTP/1.1', 'Host: good'),
      'request-malformed',
    ),
  ],
  'repeated headers': [
    ...[
      'Authorization: Bearer x',
      'Content-Type: text/plain',
      'Cookie: a=b',
      'X-Forwarded-For: 192.0.2.1',
      'X-Forwarded-User: eve',
      'Origin: https://a',
      'X-Read-By-Policy: 1',
    ].map((header) => refused(`two ${header}`, head(get, header, header), 'header-repeated')),
    refused(
      'two, of different case',
      head(get, 'Authorization: Bearer x', 'AUTHORIZATION: Bearer y'),
      'header-repeated',
    ),
    {
      name: 'others may repeat',
      send: head(get, 'Accept: a/b', 'Accept: c/d'),
      seen: (head) => assert.equal(head.headers.filter((part) => part === 'accept').length, 2),
    },
  ],
  'Transfer-Encoding': [
    refused(
      'identity, chunked',
      `${head(post, 'Transfer-Encoding: identity, chunked')}0\r\n\r\n`,
      'header-invalid',
    ),
    refused(
      'on HTTP/1.0',
      `${head('POST /a HTTP/1.0', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
      'request-malformed',
    ),
    refused('on a GET', `${head(get, 'Transfer-Encoding: chunked')}0\r\n\r\n`, 'request-malformed'),
    refused('a Content-Length on a GET', `${head(get, 'Content-Length: 1')}x`, 'request-malformed'),
    {
      name: 'an empty Content-Length on a GET',
      send: head(get, 'Content-Length: 0'),
      seen: pathIs('/a'),
    },
    {
      name: 'chunked on a POST',
      send: `${head(post, 'Transfer-Encoding: chunked')}0\r\n\r\n`,
      seen: lacks('transfer-encoding'),
    },
    {
      name: 'chunk extensions',
      send: `${head(post, 'Transfer-Encoding: chunked')}3;a=b\r\nabc\r\n0\r\n\r\n`,
      seen: pathIs('/a'),
    },
    refused(
      'a Content-Length with a leading zero',
      `${head(post, 'Content-Length: 03')}abc`,
      'header-invalid',
    ),
  ],
  trailers: [
    {
      name: 'never become headers',
      send: `${head(post, 'Transfer-Encoding: chunked', 'Trailer: x-late')}0\r\nx-late: 1\r\nx-forwarded-user: eve\r\n\r\n`,
      seen: (head) => {
        lacks('x-late')(head)
        lacks('x-forwarded-user')(head)
        lacks('trailer')(head)
      },
    },
  ],
  version: [
    refused('HTTP/0.9', 'GET /\r\n\r\n', 'request-malformed'),
    refused('HTTP/1.0', head('GET /a HTTP/1.0'), 'request-malformed'),
    refused('HTTP/1.0 without Host', 'GET /a HTTP/1.0\r\n\r\n', 'request-malformed'),
    refused('HTTP/2.0 on a line of HTTP/1', head('GET /a HTTP/2.0'), 'request-malformed'),
    refused('HTTP/1.2', head('GET /a HTTP/1.2'), 'request-malformed'),
  ],
  'unusual names': [
    'X_Forwarded_User: eve',
    'X.Forwarded.User: eve',
    'Content_Length: 4',
    '__proto__: x',
    'a+b: c',
  ].map((header) => refused(header, head(get, header), 'header-invalid')),
  'reserved names': [
    'X-Sallyport-Decision-Id',
    'X-Forwarded-For',
    'X-Forwarded-Client-Cert',
    'X-Envoy-Original-Path',
    'X-Spiffe-Id',
    'X-Authenticated-User',
    'X-Auth-Request-Email',
    'Forwarded',
    'X-Real-IP',
    'True-Client-IP',
    'X-Original-URL',
    'X-Rewrite-URL',
    'X-HTTP-Method-Override',
    'Txn-Token',
    'Workload-Identity-Token',
    'L5d-Client-Id',
    'Client-Cert',
    'Proxy',
    'Via',
    'Proxy-Connection',
    'Keep-Alive',
    'TE',
    'Trailer',
    'Proxy-Authorization',
    'X-Ours-By-Config',
  ].map((name): Row => ({
    name: `${name} is removed`,
    send: head(get, `${name}: v`),
    seen: lacks(name.toLowerCase()),
  })),
  Connection: [
    ...[
      'authorization',
      'Host',
      'cookie',
      'X-Forwarded-For',
      'x-sallyport-decision-id',
      'content-length',
      'transfer-encoding',
      'x-read-by-policy',
      'close, x-user, authorization',
      'a b',
      'x;y',
    ].map((value) =>
      refused(`names ${value}`, head(get, `Connection: ${value}`), 'header-invalid'),
    ),
    {
      name: 'what it names is removed, wherever it stands',
      send: head(
        get,
        'X-User: before',
        'Connection: close, X-User, x-other',
        'X-Other: after',
        'X-Stays: 1',
      ),
      seen: (head) => {
        for (const name of ['x-user', 'x-other', 'connection']) lacks(name)(head)
        assert.equal(valueOf(head, 'x-stays'), '1')
      },
    },
    {
      name: 'two lines of it',
      send: head(get, 'Connection: x-user', 'Connection: close', 'X-User: 1'),
      seen: lacks('x-user'),
    },
  ],
  path: [
    ...[
      '//evil/x',
      '/a\\b',
      '/a%00',
      '/a%2fb',
      '/a%2Fb',
      '/a%5Cb',
      '/a;b',
      '/a#frag',
      '/a?b#frag',
      '/%zz',
      '/a%',
      '/a%4',
      '/%c0%ae',
      '/%ff',
      '/%ed%a0%80',
      '/a/../b',
      '/a/./b',
      '/..',
      '/a/%2e%2e/b',
      '/a/.%2E/b',
      '/a//b',
    ].map((path) => refused(path, head(`GET ${path} HTTP/1.1`), 'path-invalid')),
    {
      name: 'plain',
      send: head('GET /a/b.c/?x=/../%2f HTTP/1.1'),
      seen: pathIs('/a/b.c/', '?x=/../%2f'),
    },
    {
      name: 'unreserved characters are decoded, once',
      send: head('GET /%61dmin/%2561 HTTP/1.1'),
      seen: pathIs('/admin/%2561'),
    },
    {
      name: 'UTF-8 stays escaped',
      send: head('GET /caf%C3%A9 HTTP/1.1'),
      seen: pathIs('/caf%C3%A9'),
    },
    refused(
      'longer than allowed',
      head(`GET /${'a'.repeat(9000)} HTTP/1.1`),
      'target-too-long',
      414,
    ),
  ],
  method: [
    refused('OPTIONS *', head('OPTIONS * HTTP/1.1'), 'request-malformed'),
    refused('TRACE', head('TRACE /a HTTP/1.1'), 'method-not-allowed', 405),
    refused('PROPFIND', head('PROPFIND /a HTTP/1.1'), 'method-not-allowed', 405),
    refused(
      'CONNECT',
      head('CONNECT x.test:443 HTTP/1.1', 'Host: x.test:443'),
      'method-not-allowed',
      405,
    ),
    ...[
      'x.test',
      '2130706433:443',
      '[fe80::1%25eth0]:443',
      'u:p@x:443',
      'x:443/admin',
      '/admin',
    ].map((target) =>
      refused(`CONNECT ${target}`, head(`CONNECT ${target} HTTP/1.1`), 'method-not-allowed', 405),
    ),
  ],
  upgrade: [
    ...['h2c', 'websocket, h2c', 'TLS/1.0'].map((value) =>
      refused(
        `to ${value}`,
        head(get, 'Connection: Upgrade, HTTP2-Settings', `Upgrade: ${value}`, 'HTTP2-Settings: x'),
        'upgrade-refused',
      ),
    ),
    refused(
      'with data behind it',
      `${head(get, 'Connection: Upgrade', 'Upgrade: websocket')}early`,
      'upgrade-refused',
    ),
    refused(
      'with a POST',
      head(post, 'Connection: Upgrade', 'Upgrade: websocket'),
      'upgrade-refused',
    ),
    refused(
      'with a body',
      `${head(post, 'Connection: Upgrade', 'Upgrade: websocket', 'Content-Length: 1')}x`,
      'upgrade-refused',
    ),
    refused('without its Connection option', head(get, 'Upgrade: websocket'), 'header-invalid'),
    {
      name: 'to websocket',
      send: head(
        get,
        'Connection: keep-alive, Upgrade',
        'Upgrade: WebSocket',
        'Sec-WebSocket-Key: x',
      ),
      seen: (head) => {
        for (const name of ['connection', 'upgrade']) lacks(name)(head)
        assert.equal(valueOf(head, 'sec-websocket-key'), 'x')
      },
    },
    {
      name: 'a Connection option alone asks for nothing',
      send: head(get, 'Connection: upgrade'),
      seen: lacks('connection'),
    },
  ],
  'bytes of 0x80 and above': [
    ...['Authorization: Bearer \xe4', 'Content-Type: text/\xe4', 'X-Read-By-Policy: \xe4'].map(
      (header) => refused(`in ${header}`, head(get, header), 'header-invalid'),
    ),
    {
      name: 'elsewhere they pass as they are',
      send: head(get, 'X-Note: \xe4'),
      seen: (head) => assert.equal(valueOf(head, 'x-note'), '\xe4'),
    },
  ],
  'number and size': [
    refused(
      '101 headers',
      head(get, ...Array.from({ length: 100 }, (_, i) => `x-${i}: 1`)),
      'headers-too-large',
      431,
    ),
    refused(
      '1103 headers',
      head(get, ...Array.from({ length: 1102 }, (_, i) => `x${i}: 1`)),
      'headers-too-large',
      431,
    ),
    {
      name: '100 headers',
      send: head(get, ...Array.from({ length: 99 }, (_, i) => `x-${i}: 1`)),
      seen: pathIs('/a'),
    },
    refused(
      'a head of 20 KB',
      head(get, `x-long: ${'a'.repeat(20_000)}`),
      'headers-too-large',
      431,
    ),
  ],
  Expect: [
    refused('anything but 100-continue', head(get, 'Expect: 200-ok'), 'expectation-failed', 417),
    {
      name: '100-continue is between the caller and us',
      send: head(post, 'Expect: 100-continue', 'Content-Length: 0'),
      seen: lacks('expect'),
    },
  ],
  "refused by Node's parser": (
    [
      ['two Content-Lengths', `${head(post, 'Content-Length: 3', 'Content-Length: 3')}abc`],
      ['a list of Content-Lengths', `${head(post, 'Content-Length: 3, 3')}abc`],
      ['a signed Content-Length', `${head(post, 'Content-Length: +3')}abc`],
      ['a hexadecimal Content-Length', `${head(post, 'Content-Length: 0x3')}abc`],
      ['an oversize Content-Length', head(post, `Content-Length: ${'9'.repeat(30)}`)],
      [
        'Content-Length and Transfer-Encoding',
        `${head(post, 'Content-Length: 3', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
      ],
      ['a space before the colon', head(get, 'X-A : b')],
      ['a folded line', head(get, 'X-A: b\r\n c')],
      ['a bare LF', `${get}\nHost: a\n\n`],
      ['a bare CR', `${get}\r\nHost: a\rX-A: b\r\n\r\n`],
      ['headers ended by CRLF CR X', `${get}\r\nHost: a\r\n\rX`],
      ['NUL in a value', head(get, 'X-A: b\0c')],
      ['VT in a value', head(get, 'X-A: b\x0bc')],
      ['DEL in a value', head(get, 'X-A: b\x7fc')],
      ['xchunked', `${head(post, 'Transfer-Encoding: xchunked')}0\r\n\r\n`],
      ['chunked that is not last', `${head(post, 'Transfer-Encoding: chunked, gzip')}0\r\n\r\n`],
      ['chunked twice', `${head(post, 'Transfer-Encoding: chunked, chunked')}0\r\n\r\n`],
      ['an unknown method', head('BREW /a HTTP/1.1')],
      ['a lower-case method', head('get /a HTTP/1.1')],
      ['NUL in the path', head('GET /a\0b HTTP/1.1')],
      ['UTF-8 in the path', head('GET /caf\xc3\xa9 HTTP/1.1')],
      ['a tab in the path', head('GET /a\tb HTTP/1.1')],
      ['no slash in the path', head('GET a HTTP/1.1')],
      ['an empty name', head(get, ': b')],
    ] as const
  ).map(([name, send]) => refused(name, send, null)),
}
