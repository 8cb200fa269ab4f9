import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { findFormat, formats } from '#config/formats'
import { ExchangeConfig, GatewayConfig } from '#config/schema'
import { compileTemplate } from '#identity/mapping-template'

const good: Readonly<Record<keyof typeof formats, readonly string[]>> = {
  file: ['a.pem', '/etc/a.pem', '../a b.pem', 'C:\\a.pem'],
  'trust-domain': ['mesh.example', 'a', 'a_b-c.9'],
  'spiffe-id': ['spiffe://mesh.example', 'spiffe://mesh.example/a/B_9.-'],
  'spiffe-id-template': [
    'spiffe://mesh.example/a',
    'spiffe://mesh.example/{sub}',
    'spiffe://mesh.example/user-{sub}/{https://example.com/tenant}',
  ],
  'spiffe-id-pattern': [
    'spiffe://mesh.example/a',
    'spiffe://mesh.example/*',
    'spiffe://mesh.example/**',
    'spiffe://mesh.example/a/*/b/**',
  ],
  'spiffe-id-pattern-named': [
    'spiffe://mesh.example/a',
    'spiffe://mesh.example/{a}',
    'spiffe://mesh.example/ns/{ns}/sa/{sa_2}',
  ],
  url: ['http://a.example/b?c=d', 'https://a.example:8443', 'https://[::1]/'],
  'https-url': ['https://a.example/b', 'HTTPS://a.example'],
  'https-origin': [
    'https://a.example:8443',
    'https://127.0.0.1',
    'https://[::1]:9',
    'https://a.example/',
  ],
  host: [
    'a.example',
    'a.example:8443',
    '127.0.0.1',
    '[::1]:80',
    'localhost',
    'xn--bcher-kva.example',
  ],
  'host-pattern': ['a.example', '*.example', '*.a.example', '127.0.0.1', '[::1]', 'localhost'],
  'origin-pattern': [
    '*',
    'https://a.example',
    'http://localhost:3000',
    'https://*.a.example:8443',
    'https://[::1]:9',
  ],
  address: ['127.0.0.1', '::', '0.0.0.0', 'localhost'],
  cidr: ['10.0.0.0/8', '::/0', 'fd00::/8', '192.0.2.1/32'],
  'ip-address': ['10.0.0.1', '::1', 'fd00::1'],
  'host-and-port': ['syslog.internal:6514', '10.0.0.1:1', '[::1]:65535'],
  'address-and-port': ['10.0.0.1', '10.0.0.1:53', '[fd00::1]:53', 'fd00::1'],
  'egress-host': ['api.example.com', '*.example.com', '**.example.com', 'ec2.*.amazonaws.com'],
  'route-path': ['/', '/a', '/a/', '/a-b/c.d/~e', '/a%20b', '/a;b=c,d@e'],
  'route-prefix': ['/', '/a', '/a/b'],
  'route-pattern': ['/a', '/*', '/**', '/a/*/b/**', '/a/'],
}

const bad: Readonly<Record<keyof typeof formats, readonly string[]>> = {
  file: ['a\0b', 'https://a.example/b', 'redis://a'],
  'trust-domain': [
    '',
    'Mesh.example',
    'spiffe://mesh.example',
    'mesh.example/a',
    'méẍ',
    'a:1',
    'a b',
    'x'.repeat(256),
  ],
  'spiffe-id': [
    '',
    'https://mesh.example/a',
    'SPIFFE://mesh.example/a',
    'spiffe://',
    'spiffe://Mesh/a',
    'spiffe://m:1/a',
    'spiffe://u@m/a',
    'spiffe://m/',
    'spiffe://m//a',
    'spiffe://m/../a',
    'spiffe://m/a%20b',
    'spiffe://m/a?b',
    `spiffe://m/${'a'.repeat(2048)}`,
  ],
  'spiffe-id-pattern': [
    'spiffe://m',
    'spiffe://m/',
    'spiffe://*/a',
    'spiffe://m/a*',
    'spiffe://m/**/a',
    'spiffe://m/***',
    'spiffe://m/a//*',
    '*',
    '**',
  ],
  'spiffe-id-pattern-named': [
    'spiffe://m',
    'spiffe://{a}/b',
    'spiffe://m/x{a}',
    'spiffe://m/{a}x',
    'spiffe://m/{a}{b}',
    'spiffe://m/{a}/{a}',
    'spiffe://m/{A}',
    'spiffe://m/{a.b}',
    'spiffe://m/{}',
    'spiffe://m/{a',
    'spiffe://m/*',
  ],
  'spiffe-id-template': [
    'spiffe://m',
    'spiffe://m/',
    'spiffe://{sub}/a',
    'spiffe://m{sub}/a',
    'spiffe://m/{sub',
    'spiffe://m/sub}',
    'spiffe://m/{}',
    'spiffe://m/{a}{b}',
    'spiffe://m/{a}-{b}',
    'spiffe://m/{a/b}{c}',
    'spiffe://m/a/{b}/',
    '{sub}',
  ],
  url: [
    '',
    'a.example',
    '/a',
    'ftp://a.example',
    'https://u:p@a.example',
    'https://a.example/#b',
    'https:// a.example',
    'https://a.example\\b',
    'javascript:alert(1)',
  ],
  'https-url': ['http://a.example', 'https://u@a.example'],
  'https-origin': ['https://a.example/b', 'https://a.example?b', 'http://a.example'],
  host: [
    '',
    'A.example',
    'a.example.',
    'https://a.example',
    '::1',
    'a b',
    '-a.example',
    'a..b',
    'a.example:123456',
    '*.example',
    '[::1',
    '[1.2.3.4]',
    'bücher.example',
  ],
  'origin-pattern': [
    '',
    'null',
    'a.example',
    'https://a.example/',
    'https://a.example/b',
    'https://user@a.example',
    'https://A.example',
    'https://a.example:443',
    'http://a.example:80',
    'https://a.example:',
    'https://a.example:0',
    'https://*',
    'https://a.*.example',
    'https://*a.example',
    'ftp://a.example',
    'https://a.example#b',
    'https://a.example?b',
  ],
  'host-pattern': [
    '*',
    '*.',
    'a.*',
    '*a.example',
    '**.example',
    '*.*.example',
    '*.127.0.0.1',
    '*.A.example',
    'a.example:80',
  ],
  address: ['', 'a.example', '127.0.0.1:80', '[::1]', '*'],
  cidr: ['', '10.1.0.0', '10.0.0.0/33', '::/129', '10.0.0/8', '10.0.0.0/-1', 'a/8', '10.0.0.0/8/8'],
  'ip-address': ['', '127.1', '0x7f.0.0.1', 'fe80::1%eth0', '[::1]', 'a.example'],
  'host-and-port': ['syslog.internal', 'a:0', 'a:65536', 'a:0443', 'A:1', 'a b:1', ':1', '::1:443'],
  'address-and-port': ['', 'a.example', '10.0.0.1:0', '10.0.0.1:053', 'fd00::1:53:x'],
  'egress-host': [
    '',
    '*',
    '*.',
    '**.com',
    '*.com',
    'Api.example.com',
    'éxample.com',
    'a.example.',
    'a.example:443',
    '10.0.0.1',
    '*.*.example.com',
    'a.**.example.com',
    'a.exa*mple.com',
  ],
  'route-path': [
    '',
    'a',
    '/a//b',
    '/a/./b',
    '/a/..',
    '/a?b',
    '/a#b',
    '/a b',
    '/a*',
    '/%2f',
    '/%zz',
    '/ü',
    '/a\\b',
    `/${'a'.repeat(2048)}`,
  ],
  'route-prefix': ['/a/', '/a/*', 'a'],
  'route-pattern': ['/a*', '/**/a', '/a/***', '/*a/b', 'a/*'],
}

suite('formats', () => {
  for (const [name, format] of Object.entries(formats)) {
    test(`${name} takes what is one`, () => {
      for (const text of good[name as keyof typeof formats])
        assert.equal(format(text), undefined, text)
    })
    test(`${name} says what is wrong with what is none`, () => {
      for (const text of bad[name as keyof typeof formats]) {
        const complaint = format(text)
        assert.ok(
          complaint !== undefined && complaint.message !== '' && complaint.remedy !== '',
          text,
        )
        // What the text holds may come from the environment: it is not repeated.
        if (text.length > 4) assert.ok(!complaint.remedy.includes(text), text)
      }
    })
  }
})

test('every format that the schemas name is there, and each is named', () => {
  const named = new Set<string>()
  JSON.stringify([GatewayConfig, ExchangeConfig], (key, value: unknown) => {
    if (key === 'format' && typeof value === 'string') named.add(value)
    return value
  })
  assert.deepEqual([...named].sort(), Object.keys(formats).sort())
  assert.equal(findFormat('constructor'), undefined)
})

test('a template that passes is one that the mapping can compile', () => {
  const piece = fc.constantFrom(
    'spiffe://',
    'm',
    '/',
    '/',
    'a',
    '{sub}',
    '{a/b}',
    '{',
    '}',
    '.',
    '..',
    'é',
    '',
  )
  const template = fc.oneof(
    fc.array(piece, { maxLength: 8 }).map((all) => all.join('')),
    fc.array(piece, { maxLength: 6 }).map((all) => `spiffe://m/${all.join('')}`),
  )
  let compiled = 0
  fc.assert(
    fc.property(template, (text) => {
      const passes =
        formats['spiffe-id-template'](text) === undefined && text.startsWith('spiffe://m/')
      assert.equal(passes, compileTemplate(text, 'm').ok, text)
      if (passes) compiled++
    }),
    { numRuns: 3000, seed: 7 },
  )
  assert.ok(compiled > 100)
})
