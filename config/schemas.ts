import type { JsonSchema } from './schema-check.ts'
import { ExchangeConfig, GatewayConfig } from './schema.ts'

const plain = (schema: object): JsonSchema => schema

/**
 * What configurations are checked against. A build puts the plain JSON Schema in the place of this file: TypeBox, which
 * makes it, is several hundred files that every start would read.
 */
export const schemas = {
  gateway: plain(GatewayConfig),
  exchange: plain(ExchangeConfig),
} as const
