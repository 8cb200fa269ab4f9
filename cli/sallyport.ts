#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import { setFlagsFromString } from 'node:v8'
import { nearest } from '#config/nearest'
import { exitCodes, type Command } from './command.ts'

/** Every command there is, in the order of `--help`. Each is loaded only when it is called. */
const commands: Readonly<
  Record<string, { readonly summary: string; readonly load: () => Promise<Command> }>
> = {
  gateway: {
    summary: 'runs the process that faces callers and forwards',
    load: () => import('./gateway.ts'),
  },
  exchange: {
    summary: 'runs the process that holds the keys and mints identities',
    load: () => import('./exchange.ts'),
  },
  demo: {
    summary: 'runs both, with an identity provider and services, and says what to try',
    load: () => import('./demo/demo.ts'),
  },
  explain: {
    summary: 'takes a request through every step of the way in, and says what each decides and why',
    load: () => import('./explain.ts'),
  },
  quarantine: {
    summary: 'cuts callers off at once, shows who is cut off, lets them in again',
    load: () => import('./quarantine.ts'),
  },
  check: {
    summary: 'finds everything that is wrong with configurations',
    load: () => import('./check.ts'),
  },
  egress: {
    summary: 'suggests rules for the way out, from what workloads were seen to do',
    load: () => import('./egress.ts'),
  },
  issued: {
    summary: 'shows who holds what until when, as the exchange issued it',
    load: () => import('./issued.ts'),
  },
  waf: {
    summary: 'checks rules, explains what they say of a request, runs their tests',
    load: () => import('./waf.ts'),
  },
  docs: {
    summary: 'writes docs/reference from the sources, or compares (--check)',
    load: () => import('./docs.ts'),
  },
}

const help = (): string => {
  const width = Math.max(...Object.keys(commands).map((name) => name.length))
  const lines = Object.entries(commands).map(
    ([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`,
  )
  return `sallyport COMMAND [ARGUMENTS]

${lines.join('\n')}

\`sallyport COMMAND --help\` tells more of one; \`sallyport --version\` which version this is.
`
}

const version = (): string => {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

const main = async ([name, ...args]: readonly string[]): Promise<number> => {
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    process.stdout.write(help())
    return name === undefined ? exitCodes.usage : exitCodes.done
  }
  if (name === '--version' || name === '-v') {
    process.stdout.write(`${version()}\n`)
    return exitCodes.done
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command !== undefined) return (await command.load()).run(args)
  const meant = nearest(name, Object.keys(commands))
  process.stderr.write(
    `There is no command \`${name}\`. ${meant === undefined ? '`sallyport --help` lists them.' : `Did you mean \`${meant}\`?`}\n`,
  )
  return exitCodes.usage
}

// V8 makes objects old from the start that come from where most lived long before. With caches nearly all do: what they know
// then stays, too, though both may be dead soon (docs/decisions/0020).
setFlagsFromString('--no-allocation-site-pretenuring')
// Commands are loaded after this, and at the next start without compiling their sources again.
enableCompileCache()
process.exitCode = await main(process.argv.slice(2))
