import assert from 'node:assert/strict'
import { waf } from '#plugins/waf/guard'
import { loadRuleSet } from '#plugins/waf/rule-set'
import { inspectionInput, wafOptions } from '#test/plugins/waf/support'

const options = wafOptions({ responses: true, overLimit: 'inspect-part', paranoia: 4 })
const inspect = waf({ ruleSet: loadRuleSet(options), options, clock: () => 0 })

/** Content type, query, a header, a body, parted by 0xff: the guard admits or refuses, and never throws. */
export const fuzz = async (data: Buffer): Promise<void> => {
  const [type = '', query = '', header = '', ...rest] = data.toString('latin1').split('\xff')
  const bytes = Buffer.from(rest.join('\xff'), 'latin1')
  const inHeader = (text: string) => text.replace(/[\0\r\n]/g, ' ')
  const headers = [
    'content-type',
    inHeader(type),
    'cookie',
    inHeader(header),
    'x',
    inHeader(header),
  ]
  const head = { method: 'POST', query: `?${inHeader(query)}`, headers }
  const result = await inspect(inspectionInput(head, { bytes, whole: true }))
  if (!result.ok) return
  const answer = await result.value.head(200, ['content-type', 'text/html'])
  if (answer.ok) await result.value.body(bytes, true)
  assert.doesNotThrow(() => JSON.stringify(result.value.record()))
}

export const seeds: readonly string[] = [
  'application/json\xffa=1\xffb=c\xff{"a":"<script>"}',
  'text/xml; charset=utf-8\xff\xffb\xff<a b="c">\' or 1=1--</a>',
  'multipart/form-data; boundary=b\xffa[]=../\xff\xff--b\r\nContent-Disposition: form-data; name="a"; filename="x.php"\r\n\r\n1\r\n--b--',
  'application/x-www-form-urlencoded\xffa=%2e%2e/etc/passwd\xff$(id)\xffa=1&b=;cat+/etc/passwd',
]
