import { Value } from 'typebox/value'
import { WafOptions } from '#plugins/waf/options'

/** What the command line said. */
export type Given = {
  readonly crs: string | undefined
  readonly ruleFiles: readonly string[]
  readonly paranoia: number
  readonly exceptions: string | undefined
  readonly json: boolean
}

/** Options of the WAF as a configuration would have them that says just this. */
export const optionsOf = ({ crs, ruleFiles, paranoia }: Given): WafOptions =>
  Value.Default(WafOptions, {
    ...(crs === undefined ? {} : { crs }),
    ruleFiles: [...ruleFiles],
    paranoia,
    responses: true,
    limits: {},
  }) as WafOptions
