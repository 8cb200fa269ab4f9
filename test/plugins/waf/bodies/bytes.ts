import * as fc from 'fast-check'
import type { BodyLimits, ParsedBody } from '#plugins/waf/bodies/body'
import { defaultBodyLimits } from '#plugins/waf/bodies/body'

/** A text as the bytes of its UTF-8, one character a byte, as bodies are given. */
export const bytesOf = (text: string): string => Buffer.from(text, 'utf8').toString('latin1')

export const limitsWith = (some: Partial<BodyLimits>): BodyLimits => ({
  ...defaultBodyLimits,
  ...some,
})

/** Why this body is more than it may be, if it is. */
export const overgrown = (body: ParsedBody, limits: BodyLimits): string | undefined => {
  const names = body.args.reduce((bytes, [name]) => bytes + name.length, 0)
  if (body.args.length > limits.maxArguments) return 'arguments'
  if (body.xml && body.xml.attributes.length > limits.maxXmlAttributes) return 'attributes'
  if ((body.files?.length ?? 0) + body.args.length > Math.max(limits.maxParts, limits.maxArguments))
    return 'parts'
  if (body.overLimit === true && body.error === undefined) return 'a limit without an error'
  return body.multipart === undefined && names > limits.maxTotalNameBytes ? 'names' : undefined
}

/** How long a call takes, in milliseconds. Compared only with bounds that are many times what it should take. */
export const millisecondsOf = (call: () => unknown): number => {
  const began = performance.now()
  call()
  return performance.now() - began
}

/** Texts of the characters that could be read wrong. (Whole-Unicode strings of fast-check take seconds to begin with.) */
export const anyText: fc.Arbitrary<string> = fc.string({
  unit: fc.constantFrom(...Array.from('aZ09 é€😀"\'\\/&<>=%+;\0\t\n\r\u2028\x7f\u00a0')),
  maxLength: 12,
})

export const anyJson: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.constantFrom(null, true, false, 0, 1.5, -2e-7, 1e21),
    anyText,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(anyText, tie('value'), { maxKeys: 4 }),
  ),
})).value
