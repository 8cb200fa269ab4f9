import assert from 'node:assert/strict'
import { atOnce, defaultBodyLimits, type BodyProcessor } from '#plugins/waf/bodies/body'
import { guessSteps } from '#plugins/waf/bodies/guess'
import { jsonBody } from '#plugins/waf/bodies/json'
import { multipartBody } from '#plugins/waf/bodies/multipart'
import { urlencodedBody } from '#plugins/waf/bodies/urlencoded'
import { xmlBody } from '#plugins/waf/bodies/xml'
import { overgrown } from '#test/plugins/waf/bodies/bytes'

const processors: readonly BodyProcessor[] = [
  jsonBody,
  xmlBody,
  urlencodedBody,
  multipartBody('multipart/form-data; boundary=b'),
  multipartBody('multipart/form-data; boundary="b c"; charset=x'),
  atOnce(guessSteps),
]

/** The first byte chooses the processor. Small limits, so that the fuzzer gets past them. */
const small = { ...defaultBodyLimits, maxArguments: 20, maxDepth: 12 }
/** Names of JSON alone repeat what is around them. */
const limitsOf = (at: number) => (at === 0 ? { ...small, maxTotalNameBytes: 400 } : small)

/** No processor throws, exceeds a limit, or takes for JSON what is none. */
export const fuzz = (data: Buffer): void => {
  const at = (data[0] ?? 0) % processors.length
  const body = data.toString('latin1', 1)
  const limits = limitsOf(at)
  const parsed = processors[at]?.(body, limits)
  assert.ok(parsed)
  assert.equal(overgrown(parsed, limits), undefined)
  if (at === 0 && body !== '' && parsed.overLimit !== true)
    assert.equal(parsed.error === undefined, isJson(data.subarray(1)), JSON.stringify(body))
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const isJson = (bytes: Buffer): boolean => {
  try {
    JSON.parse(strict.decode(bytes))
    return true
  } catch {
    return false
  }
}

export const seeds: readonly string[] = [
  '\0{"a":[1,-2e5,"x\\u00e9\\ud83d\\ude00",{"b":null}],"c":true}',
  '\x01<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a b="c&amp;"><![CDATA[x]]><!-- y --><?z?>&b;</a>',
  '\x02a=1&b=%41+c&d%5B%5D&%u0041=%zz',
  '\x03--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b\r\nContent-Disposition: form-data; name="f"; filename="x.php"\r\nContent-Type: text/plain\r\n\r\ny\r\n--b--\r\n',
  '\x04--b c\r\nContent-Disposition: form-data;\r\n name=a\r\n\r\n1\n--b c--\r\n',
]
