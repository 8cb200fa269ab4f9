import assert from 'node:assert/strict'
import { classesIn } from '#plugins/waf/engine/byte-classes'
import { detectSqli } from '#plugins/waf/injection/sqli'
import { detectXss } from '#plugins/waf/injection/xss'
import { operators } from '#plugins/waf/operators/table'
import { transformations } from '#plugins/waf/transformations/table'

/** The longest that a transformation makes of one byte: `%xx`, `\xHH`; a digest or a length makes a few of none. */
const growth = 6
const least = 64

/** Nothing that looks at a value throws; transformations give bytes, not too many, and none where they say so. */
export const fuzz = (data: Buffer): void => {
  const value = data.toString('latin1')
  const classes = classesIn(value)
  for (const [name, { apply, actsOn }] of Object.entries(transformations)) {
    const changed = apply(value)
    assert.ok(changed.length <= value.length * growth + least, `${name} makes ${changed.length}`)
    assert.ok(!/[^\0-\xff]/.test(changed), `${name} makes more than bytes`)
    if (actsOn !== -1 && (classes & actsOn) === 0)
      assert.equal(changed, value, `${name} acts where it says it does not`)
  }
  detectSqli(value)
  detectXss(value)
  for (const test of tests) test(value)
}

const noFiles = {
  readFile: () => '',
  settings: () => ({ geoLookupDb: undefined, httpBlKey: undefined }),
  askBlockList: async () => undefined,
}
const tests = [
  operators.validateByteRange('1-255', noFiles).test,
  operators.validateUrlEncoding('', noFiles).test,
  operators.validateUtf8Encoding('', noFiles).test,
  operators.ipMatch('10.0.0.0/8,2001:db8::/32', noFiles).test,
  operators.pm('select union', noFiles).test,
  operators.verifyCC('\\d{13,16}', noFiles).test,
]

export const seeds: readonly string[] = [
  "1' or '1'='1' union select a,b from c where d in (1,2)-- ",
  '1; exec xp_cmdshell(0x41) /*!50000 x*/ # \\N `a` "b" $$c$$ q\'(d)\'',
  '<img src=x onerror="alert(1)"><a href="&#x6a;avascript:x"><!--[if x]><![CDATA[y]]></a>',
  'a%41%u0041+&lt;&#65;&#x41;\\u0041\\x41\\101 c"m^d /* x */ -- y ../../a//./b\\..\\c',
  'QUJD 4142 0x4142 \xc3\xa9\xe2\x80\x99\xf0\x9f\x98\x80 \0 \t 10.1.2.3 4111111111111111',
]
