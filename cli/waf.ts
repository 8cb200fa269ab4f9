import { SecLangError } from '#plugins/waf/seclang/syntax'
import { WafOptionsError } from '#plugins/waf/rule-set'
import { exitCodes, readArguments } from './command.ts'
import { checkRules } from './waf/check.ts'
import { explainRequest } from './waf/explain.ts'
import type { Given } from './waf/given.ts'
import { testRules } from './waf/test.ts'

const usage = `sallyport waf check   [--json] [OPTIONS]
sallyport waf explain [--json] [OPTIONS] REQUEST-FILE
sallyport waf test    [--json] [--exceptions FILE] [OPTIONS] DIR

check    loads the rules and says what they are, and what in them does nothing here
explain  runs a request, as it would come over the wire, through the rules and prints what each one saw
test     runs tests in the YAML of go-ftw, in process, with the settings that CRS's own tests ask for

  --crs DIR          an OWASP Core Rule Set; without it the base rules that come with Sallyport
  --rules FILE       a file of rules of your own, or a glob, after those; may be repeated
  --paranoia N       1 to 4
  --exceptions FILE  JSON: names of tests that may fail, each with its reason
  --json             one JSON document, for scripts

Exits with 0 if the rules load, the request is admitted, the tests pass; 1 if not; 2 if the command was not understood.
`

/** `sallyport waf`: rules, without a gateway. */
export const run = async (args: readonly string[]): Promise<number> => {
  const read = readArguments(args, {
    allowPositionals: true,
    options: {
      crs: { type: 'string' },
      rules: { type: 'string', multiple: true, default: [] },
      paranoia: { type: 'string', default: '1' },
      exceptions: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (!read.ok) return misunderstood(read.message)
  const { values, positionals } = read.given
  if (values.help) {
    process.stdout.write(usage)
    return exitCodes.done
  }
  const [command, operand, ...more] = positionals
  if (more.length > 0) return misunderstood('Too many arguments.')
  if (!/^[1-4]$/.test(values.paranoia)) return misunderstood('A paranoia level is 1, 2, 3 or 4.')
  const given: Given = {
    crs: command === 'check' ? (values.crs ?? operand) : values.crs,
    ruleFiles: values.rules,
    paranoia: Number(values.paranoia),
    exceptions: values.exceptions,
    json: values.json,
  }
  try {
    if (command === 'check') return checkRules(given)
    if (operand === undefined) return misunderstood('Name a file or a folder.')
    if (command === 'explain') return await explainRequest(given, operand)
    if (command === 'test') return await testRules(given, operand)
  } catch (cause) {
    if (!(cause instanceof SecLangError || cause instanceof WafOptionsError)) throw cause
    process.stderr.write(`${cause.message}\n`)
    return exitCodes.faults
  }
  return misunderstood(`There is no \`waf ${command ?? ''}\`.`)
}

const misunderstood = (why: string): number => {
  process.stderr.write(`${why}\n\n${usage}`)
  return exitCodes.usage
}
