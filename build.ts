/** Makes `dist/`, which runs on Node alone: for the published package and the container image. */
import { execFileSync } from 'node:child_process'
import { cpSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const root = import.meta.dirname
const target = join(root, 'dist')

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
  execFileSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json')], {
    stdio: 'inherit',
  })
}

const copyAssets = () => {
  for (const asset of globSync(assets, { cwd: root }))
    cpSync(join(root, asset), join(target, asset), { recursive: true })
}

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

rmSync(target, { recursive: true, force: true })
compile()
copyAssets()
writePackage()
process.stdout.write(`dist/ is made: node dist/cli/sallyport.js --help\n`)
