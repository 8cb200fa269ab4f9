import { ExchangeConfig, GatewayConfig } from '#config/schema'
import { AuditEventSchema } from '#plugins/audit-log/event-schema'
import { PolicyInputSchema, PolicyResultSchema } from '#plugins/policy/input'
import { configPage } from './config-page.ts'
import { configFileSchema, publishedSchema } from './json-schema.ts'
import { metricsPage } from './metrics-page.ts'
import { problemsPage } from './problems-page.ts'

/** Every file of `docs/reference`, as the sources have it. */
export const generatedFiles = (): ReadonlyMap<string, string> =>
  new Map([
    ['config.md', configPage()],
    ['problems.md', problemsPage()],
    ['metrics.md', metricsPage()],
    ['config.gateway.schema.json', json(configFileSchema(GatewayConfig, 'Sallyport gateway'))],
    ['config.exchange.schema.json', json(configFileSchema(ExchangeConfig, 'Sallyport exchange'))],
    ['policy-input.schema.json', json(publishedSchema(PolicyInputSchema, 'Input of the policy'))],
    [
      'policy-decision.schema.json',
      json(publishedSchema(PolicyResultSchema, 'Decision of the policy')),
    ],
    ['audit-event.schema.json', json(publishedSchema(AuditEventSchema, 'Audit record'))],
  ])

const json = (value: object): string => `${JSON.stringify(value, undefined, 2)}\n`
