import { serve } from './serve.ts'

/** `sallyport exchange`: the process that holds the keys and mints. */
export const run = (args: readonly string[]): Promise<number> =>
  serve('exchange', args, async () => (await import('#exchange/main')).startExchange)
