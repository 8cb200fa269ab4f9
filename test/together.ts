/**
 * Runs test files one after the other in this process, each as one test with its own beginning and end: what a file sets
 * up is there for its tests alone, hooks and all, as if it had the process for itself. (`--test-isolation=none` would set up
 * all files first, and what they opened would wait for its tests, some of it for longer than it may.)
 *
 * Run: node node.js test/together.ts FILE…
 */
import { resolve } from 'node:path'
import { after, test } from 'node:test'
import { pathToFileURL } from 'node:url'

/** On a machine that does much else. Each test of a file has as much, too. */
const timeout = 300_000
/** After the last test: what is still open then was left open, which is told and not waited for. */
const endsWithinMs = 20_000

for (const file of process.argv.slice(2))
  test(file, { timeout }, async (t) => {
    const loaded = import(pathToFileURL(resolve(file)).href)
    t.beforeEach(() => loaded) // else the first test would begin before the rest of its file is there
    await loaded
  })

after(() => {
  const overdue = () => {
    const open = process.getActiveResourcesInfo().join(', ')
    console.error(`⚠ Not ended by itself after the last test, for something is left open: ${open}`)
    process.emit('beforeExit', 1) // what failed is printed then
    setTimeout(() => process.exit(), 1000)
  }
  setTimeout(overdue, endsWithinMs).unref()
})
