import { serve } from './serve.ts'

/** `sallyport gateway`: the process that faces callers and forwards. */
export const run = (args: readonly string[]): Promise<number> =>
  serve('gateway', args, async () => (await import('#gateway/main')).startGateway)
