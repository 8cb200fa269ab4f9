import { spawn } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** A request for both engines. `body` is latin1. */
export type Question = {
  readonly method: string
  readonly target: string
  readonly headers: readonly string[]
  readonly body?: string
}
export type Answer = { readonly ids: readonly number[]; readonly refused: boolean }

/** libmodsecurity 3 in a Python process of its own. */
export type Oracle = {
  readonly loadMs: number
  readonly rssBytes: number
  readonly ask: (
    requests: readonly Question[],
    times?: number,
  ) => Promise<{ readonly answers: readonly Answer[]; readonly cpuUs: number }>
  readonly close: () => void
}

const python =
  process.env.SALLYPORT_PYTHON ?? join(homedir(), '.cache', 'sallyport', 'python', 'bin', 'python')

/** Why there is no oracle on this machine; undefined if there is one. */
export const noOracle = (): string | undefined =>
  existsSync(join(python, '..', '..', 'lib', 'python3.11', 'site-packages', 'libmodsecurity'))
    ? undefined
    : 'no libmodsecurity: pip install libmodsecurity==3.0.15.post2'

/** Starts it with the rules in some files, and text put between them. */
export const startOracle = async (
  files: readonly (string | { readonly text: string })[],
): Promise<Oracle> => {
  const folder = mkdtempSync(join(tmpdir(), 'oracle-'))
  // Copied under plain names: its scanner takes neither `@` in a path nor the rules of the Go module as they are.
  const names = files.map((file, i) => {
    const name = join(folder, `${i}.conf`)
    const text = typeof file === 'string' ? blankLines(readFileSync(file, 'latin1')) : file.text
    writeFileSync(name, text, 'latin1')
    return name
  })
  const dataFolders = new Set(
    files.flatMap((file) => (typeof file === 'string' ? [dirname(file)] : [])),
  )
  for (const from of dataFolders)
    for (const name of readdirSync(from))
      if (name.endsWith('.data')) copyFileSync(join(from, name), join(folder, name))
  const main = join(folder, 'main.conf')
  writeFileSync(main, names.map((name) => `Include ${name}\n`).join(''))
  const child = spawn(python, [fileURLToPath(new URL('oracle.py', import.meta.url)), main], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const next = async <T>(): Promise<T> => {
    const { value, done } = await lines.next()
    if (done) throw new Error('the oracle went away')
    return JSON.parse(value) as T
  }
  const { loadMs, rssBytes } = await next<{ loadMs: number; rssBytes: number }>()
  return {
    loadMs,
    rssBytes,
    ask: async (requests, times = 1) => {
      const encoded = requests.map((request) => ({
        ...request,
        body: Buffer.from(request.body ?? '', 'latin1').toString('base64'),
      }))
      child.stdin.write(`${JSON.stringify({ requests: encoded, times })}\n`)
      return next()
    },
    close: () => {
      child.kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** libmodsecurity wants an empty line behind a rule without actions, and the Go module has none. */
const blankLines = (text: string): string =>
  text.replace(/^( *SecRule TX:EARLY_BLOCKING "@eq 1")$/gm, '$1\n')
