/**
 * Makes what runs on Node alone, for the published package and the container image, in `dist/` or elsewhere.
 *
 *     node node.js build.ts [--into NEW_FOLDER]
 *
 * Types are not checked once more: `npm run types` does it, as a part of `npm test`.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { schemas } from './config/schemas.ts'

const root = import.meta.dirname
const { into } = parseArgs({ options: { into: { type: 'string' } } }).values
const target = into === undefined ? join(root, 'dist') : resolve(into)

/** What the code reads at run time, besides itself. */
const assets = [
  'config/policy/bundle/*',
  'config/policy/*.{rego,json}',
  'config/waf/**/*.{conf,data}',
  'config/*.example.yaml',
  'plugins/**/*.{html,css,json}',
  'gateway/**/*.{html,css}',
]

type Package = {
  readonly imports: Record<string, string>
  readonly devDependencies?: unknown
  readonly optionalDependencies?: unknown
  readonly scripts?: unknown
}

const compile = () => {
  const tsc = join(
    dirname(createRequire(import.meta.url).resolve('typescript/package.json')),
    'bin/tsc',
  )
  const config = ['-p', join(root, 'tsconfig.build.json'), '--outDir', target]
  execFileSync(process.execPath, [tsc, ...config], { stdio: 'inherit' })
}

const copyAssets = () => {
  for (const asset of globSync(assets, { cwd: root }))
    cpSync(join(root, asset), join(target, asset), { recursive: true })
}

/** What TypeBox made, as text; see `config/schemas.ts`. */
const writeSchemas = () =>
  writeFileSync(
    join(target, 'config/schemas.js'),
    `export const schemas = JSON.parse(${JSON.stringify(JSON.stringify(schemas))})\n`,
  )

/** The same package, with an imports map that points at JavaScript. */
const writePackage = () => {
  const { imports, scripts, devDependencies, optionalDependencies, ...rest } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  ) as Package
  void [scripts, devDependencies, optionalDependencies]
  const compiled = Object.fromEntries(
    Object.entries(imports)
      .filter(([name]) => !name.startsWith('#test'))
      .map(([name, path]) => [name, path.replace(/\.ts$/, '.js')]),
  )
  const text = JSON.stringify(
    { ...rest, imports: compiled, bin: { sallyport: 'cli/sallyport.js' } },
    undefined,
    2,
  )
  writeFileSync(join(target, 'package.json'), `${text}\n`)
}

if (into === undefined) rmSync(target, { recursive: true, force: true })
else if (existsSync(target)) throw new Error(`${target} is there already: name a new folder.`)
compile()
copyAssets()
writeSchemas()
writePackage()
process.stdout.write(`It is made: node ${join(target, 'cli/sallyport.js')} --help\n`)
