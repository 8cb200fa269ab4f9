/**
 * Makes what runs on Node alone, for the published package and the container image, in `dist/` or elsewhere: our code and its
 * libraries in some ninety files, so that a start need not look for a thousand; see `docs/decisions/0017`.
 *
 *     node node.js build.ts [--into NEW_FOLDER]
 *
 * Types are not checked once more: `npm run types` does it, as a part of `npm test`.
 */
import { cpSync, existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { build, type Metafile, type Plugin } from 'esbuild'
import { schemas } from './config/schemas.ts'

const root = import.meta.dirname
const { into } = parseArgs({ options: { into: { type: 'string' } } }).values
const target = into === undefined ? join(root, 'dist') : resolve(into)

/** What is started by its name: the command, and the thread that reads a configuration. */
const entries = ['cli/sallyport.ts', 'config/loading-thread.ts']

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
  readonly name: string
  readonly version: string
  readonly license?: string
  readonly description?: string
  readonly engines?: object
}
const packageIn = (folder: string) =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Package
const ours = packageIn(root)

/** Each file of the result has it: libraries in CommonJS look for these names. */
const commonJs = `import { createRequire as requireOf } from 'node:module'
const require = requireOf(import.meta.url)
const { dirname: __dirname, filename: __filename } = import.meta`

/** A source that asks where it is gets the place that it had, as a file beside the folder of chunks. */
const places: Plugin = {
  name: 'places',
  setup: (bundler) => {
    bundler.onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const name = relative(root, path).replaceAll('\\', '/')
      if (name.startsWith('node_modules/')) return undefined
      if (name === 'config/schemas.ts') return { contents: schemasAsText() }
      const place = `new URL('../${name.replace(/ts$/, 'js')}', import.meta.url)`
      const contents = readFileSync(path, 'utf8')
        .replaceAll('createRequire(import.meta.url)(', 'require(')
        .replaceAll('import.meta.url', `${place}.href`)
        .replaceAll(
          'import.meta.dirname',
          `require('node:url').fileURLToPath(new URL('.', ${place}))`,
        )
      return { loader: 'ts', contents }
    })
  },
}

/** What TypeBox made, as text; see `config/schemas.ts`. */
const schemasAsText = () =>
  `export const schemas = JSON.parse(${JSON.stringify(JSON.stringify(schemas))})`

const bundle = async (): Promise<Metafile> => {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: entries,
    outdir: target,
    outbase: root,
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    // Not `keepNames`: it names each function anew when it is made, which are dozens in a request (1.5 times its CPU).
    sourcemap: true,
    sourcesContent: false,
    metafile: true,
    external: ['oidc-provider'], // the demo's, which runs from the sources alone
    banner: { js: commonJs },
    plugins: [places],
    logLevel: 'warning',
  })
  return metafile
}

const copyAssets = () => {
  for (const asset of globSync(assets, { cwd: root }))
    cpSync(join(root, asset), join(target, asset), { recursive: true })
}

/** The licences of the libraries whose code is in the result, as they want. */
const writeLicences = ({ inputs }: Metafile) => {
  const folders = new Set(
    Object.keys(inputs).flatMap(
      (input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? [],
    ),
  )
  const texts = [...folders].toSorted().map((folder) => {
    const { name, version, license = 'see below' } = packageIn(join(root, folder))
    const files = globSync(join(root, folder, '{LICEN[CS]E,licen[cs]e,COPYING,NOTICE}*'))
    const said = files.toSorted().map((file) => readFileSync(file, 'utf8').trim())
    return [`${name} ${version} (${license})`, ...said].join('\n\n')
  })
  writeFileSync(join(target, 'THIRD-PARTY.txt'), `${texts.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`)
}

/** The same package, without what it no longer needs from elsewhere. */
const writePackage = () => {
  const { name, version, description, license, engines } = ours
  const bin = { sallyport: 'cli/sallyport.js' }
  const made = { name, version, description, license, type: 'module', engines, bin }
  writeFileSync(join(target, 'package.json'), `${JSON.stringify(made, undefined, 2)}\n`)
}

if (into === undefined) rmSync(target, { recursive: true, force: true })
else if (existsSync(target)) throw new Error(`${target} is there already: name a new folder.`)
const metafile = await bundle()
copyAssets()
writeLicences(metafile)
writePackage()
process.stdout.write(`It is made: node ${join(target, 'cli/sallyport.js')} --help\n`)
