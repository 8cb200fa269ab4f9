import { parseArgs, type ParseArgsConfig } from 'node:util'

/** What a command's file exports. The number becomes the exit code. */
export type Command = { readonly run: (args: readonly string[]) => Promise<number> }

export const exitCodes = { done: 0, faults: 1, usage: 2 } as const

/** `parseArgs`, with what a person typed wrong as a sentence instead of an exception. */
export const readArguments = <const Config extends Omit<ParseArgsConfig, 'args'>>(
  args: readonly string[],
  config: Config,
):
  | { readonly ok: true; readonly given: ReturnType<typeof parseArgs<Config>> }
  | { readonly ok: false; readonly message: string } => {
  try {
    return { ok: true, given: parseArgs<Config>({ ...config, args: [...args] }) }
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    if (code?.startsWith('ERR_PARSE_ARGS_') !== true) throw cause
    return { ok: false, message }
  }
}
