import { parseJson } from '#contract/parse-json'

/** A JSON object, or undefined for anything else. */
export const parseObject = (text: string): Record<string, unknown> | undefined => {
  const value = parseJson(text)
  return typeof value === 'object' && value !== null
    ? (value as Record<string, unknown>)
    : undefined
}
