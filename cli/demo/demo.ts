import { once as happening } from 'node:events'
import { causeText } from '#contract/cause'
import { exitCodes, readArguments } from '../command.ts'
import { describeMesh } from './describe.ts'
import type { DemoMesh } from './mesh.ts'
import { demoPorts, takenPorts, type DemoPorts } from './ports.ts'
import { red, say } from '../screen.ts'
import { makeTour } from './tour.ts'
import { welcome } from './welcome.ts'

const usage = `sallyport demo [--once | --json] [--port-base N]

Starts an identity provider, an exchange, a gateway and services behind mTLS on this machine, and says what to try.

  --once         makes a tour by itself and ends: 0 if everything went as described, 1 if not
  --json         prints one line of JSON when everything runs, for scripts, and goes on running
  --port-base N  takes the ports from N on instead of 8443 and its neighbours
`

/** `sallyport demo`: everything, running for real, on one machine. */
export const run = async (args: readonly string[]): Promise<number> => {
  const read = readArguments(args, {
    options: {
      once: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      'port-base': { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (!read.ok) return misunderstood(read.message)
  const { once, json, help, 'port-base': base } = read.given.values
  if (help) {
    say(usage)
    return exitCodes.done
  }
  if (once && json) return misunderstood('--once and --json exclude each other.')
  if (base !== undefined && !isPortBase(base))
    return misunderstood(`--port-base wants a port from 1024 to 65000, not ${base}.`)

  const ports = demoPorts(base === undefined ? undefined : Number(base))
  const taken = await takenPorts(ports)
  if (taken.length > 0) {
    const list = taken.map(([name, port]) => `${port} (${name})`).join(', ')
    process.stderr.write(
      `Something else listens on ${list}.\nTake other ports with --port-base N, such as: npm run demo -- --port-base 20000\n`,
    )
    return exitCodes.faults
  }

  const ending = endOfDemo()
  const mesh = await start(ports)
  if (typeof mesh === 'string') {
    if (ending.aborted) return exitCodes.done // the others were told to end, too
    process.stderr.write(red(`The demo could not start: ${mesh}\n`))
    return exitCodes.faults
  }
  try {
    if (once) return (await makeTour(mesh, ending)) ? exitCodes.done : exitCodes.faults
    if (json) say(JSON.stringify(await describeMesh(mesh)))
    else say(await welcome(mesh))
    if (!ending.aborted) await happening(ending, 'abort')
    return exitCodes.done
  } finally {
    await mesh.close()
  }
}

/** @returns Why it could not, as a sentence. */
const start = async (ports: DemoPorts): Promise<DemoMesh | string> => {
  try {
    const { startMesh } = await import('./mesh.ts')
    return await startMesh(ports)
  } catch (cause) {
    // The published package does without the identity provider, which is for the demo and the tests alone.
    return (cause as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND'
      ? `it needs a checkout of the sources, with \`npm ci\` (${causeText(cause)})`
      : causeText(cause)
  }
}

const misunderstood = (message: string): number => {
  process.stderr.write(`${message}\n\n${usage}`)
  return exitCodes.usage
}

const isPortBase = (text: string): boolean =>
  /^\d{4,5}$/.test(text) && Number(text) >= 1024 && Number(text) <= 65_000

/** Ctrl-C, whoever started it, or the end of the terminal says that it is enough. */
const endOfDemo = (): AbortSignal => {
  const ending = new AbortController()
  const end = () => ending.abort()
  // The last two may come twice, to all of us and once more from who passes them on: the second must not end us before
  // we have ended the others. A second Ctrl-C means it.
  process.once('SIGINT', end).on('SIGTERM', end).on('SIGHUP', end)
  return ending.signal
}
