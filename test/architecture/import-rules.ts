import { join, posix } from 'node:path'
import { importsOf, tokensOf, type Import } from './source-tokens.ts'

/** Whether there is such a file, relative to the root. */
export type Exists = (file: string) => boolean

type FolderRule = {
  /** What files of it may import from other folders, besides `node:` and packages. */
  readonly may: readonly RegExp[]
  /** As `may`, for types alone. */
  readonly mayTypes?: readonly RegExp[]
  /** Its composition root may also import these. */
  readonly mainMay?: readonly RegExp[]
  readonly why: string
}

const everything = [/^#/]
const process: Omit<FolderRule, 'why'> = {
  may: [/^#contract\//, /^#http\//, /^#identity\//],
  mayTypes: [/^#config\/schema$/],
  mainMay: [/^#plugins\//],
}

/** The import rules of the project: what each top-level folder may import, and why nothing else. */
export const folderRules: Readonly<Record<string, FolderRule>> = {
  contract: { may: [], why: 'it is what both processes share, so it knows nothing of ours' },
  http: { may: [/^#contract\//], why: 'a hardened server knows no identities and no gateway' },
  identity: {
    may: [/^#contract\//, /^#http\//],
    mayTypes: [/^#config\/schema$/],
    why: 'who anyone is does not depend on which process asks',
  },
  plugins: {
    may: [/^#contract\//, /^#plugins\/(redis-client|redis-options|store-health)$/],
    why: 'a guard is told all that it may know, and knows no other plugin',
  },
  config: {
    may: [/^#contract\//, /^#plugins\/[\w-]+\/options$/],
    why: 'it is read before anything else exists',
  },
  gateway: { ...process, why: 'it never holds a signing key, so it never sees the exchange' },
  exchange: { ...process, why: 'it parses no proxied traffic, so it never sees the gateway' },
  cli: { may: everything, why: '' },
  test: { may: everything, why: '' },
  bench: { may: everything, why: '' },
}

type Home = {
  readonly where: RegExp
  /** Where its types may be named, if elsewhere too. */
  readonly types?: RegExp
}

/** Where each package may be imported, besides tests and benchmarks: its exceptions are translated there and nowhere else. */
export const homes: Readonly<Record<string, Home>> = {
  '@fastify/http-proxy': { where: /^gateway\/admin\// },
  '@grpc/grpc-js': { where: /^identity\/workload-api\/stream\.ts$/ },
  '@open-policy-agent/opa-wasm': { where: /^plugins\/policy\/(bundle|evaluate)\.ts$/ },
  '@opentelemetry/api': { where: /^plugins\/tracing\/sink\.ts$/ },
  '@opentelemetry/exporter-trace-otlp-proto': { where: /^plugins\/tracing\/sink\.ts$/ },
  '@opentelemetry/resources': { where: /^plugins\/tracing\/sink\.ts$/ },
  '@opentelemetry/sdk-trace': {
    where: /^plugins\/tracing\/sink\.ts$/,
    types: /^plugins\/tracing\//,
  },
  '@smithy/signature-v4': { where: /^gateway\/egress\/credentials\/aws-sigv4\.ts$/ },
  cors: { where: /^gateway\/ingress\/cors\.ts$/ },
  fastify: { where: /^http\/listen\.ts$/, types: /./ },
  'fastify-plugin': { where: /^plugins\/as-fastify-plugin\.ts$/ },
  ioredis: { where: /^plugins\/redis-client\.ts$/ },
  jose: { where: /^(identity|exchange|cli\/demo)\// },
  'node-forge': { where: /^exchange\/ca\/certificate\.ts$/ },
  'oidc-provider': { where: /^cli\/demo\// },
  pino: { where: /^(cli\/log\.ts|(gateway|exchange)\/main\.ts|plugins\/audit-log\/\w+\.ts)$/ },
  'prom-client': { where: /^plugins\/prometheus\/(sink|workers)\.ts$/ },
  'rate-limiter-flexible': { where: /^plugins\/[\w-]+\/(memory|redis)\.ts$/ },
  typebox: {
    where:
      /^(config\/schema\/|plugins\/([\w-]+\/(options|input|event-schema)|redis-options)\.ts$|cli\/)/,
  },
  undici: {
    where: /^(gateway\/upstream\/|http\/bounded-fetch\.ts$|cli\/demo\/)/,
    types: /^gateway\//,
  },
  'mmdb-lib': { where: /^plugins\/waf\/geo-database\.ts$/ },
  yaml: { where: /^(config\/yaml-\w+\.ts|plugins\/waf\/ftw\/|cli\/demo\/)/ },
}

/** Packages that only tests and benchmarks use need no home. */
const freeOfHomes = /^(test|bench)\//

/** Every import in a file that breaks a rule, in words. */
export const brokenRules = (file: string, source: string, exists: Exists): string[] => {
  const tokens = tokensOf(source)
  const broken = importsOf(tokens).flatMap((found) => judge(file, found, exists))
  const words = ['', ...tokens.map(({ kind, text }) => (kind === 'string' ? "''" : text)), ''].join(
    ' ',
  )
  for (const { name, pattern, allowed, why } of globals)
    if (!allowed.test(file) && pattern.test(words)) broken.push(`uses ${name}: ${why}`)
  return broken
}

const globals = [
  {
    name: 'process.env',
    pattern: / process \. env | process \[ '' \] /,
    allowed: /^(config\/load\.ts$|cli\/|test\/|bench\/|[\w.-]+$|(gateway|exchange)\/main\.ts$)/,
    why: 'only config/load.ts reads the environment',
  },
  {
    name: 'the time of day',
    pattern: / Date \. now | new Date \( \) | new Date ;? /,
    allowed: /^(contract\/clock\.ts$|cli\/|test\/|bench\/|(gateway|exchange)\/main\.ts$)/,
    why: 'take a Clock (contract/clock.ts)',
  },
  {
    name: 'Math.random',
    pattern: / Math \. random /,
    allowed: /^(contract\/clock\.ts$|cli\/|test\/|bench\/)/,
    why: 'take RandomBytes (contract/clock.ts)',
  },
  {
    name: 'a function written where a property is set',
    pattern: / \. \w+ (?:\? \? )?= (?:async )?(?:\( [^()]*\) = >|\w+ = >|function )/,
    allowed: /^(http\/h2-client\/open-connection\.ts$|cli\/|test\/|bench\/|config\/)/, // one a connection
    why: 'name it first (docs/decisions/0020)',
  },
  {
    name: 'a map of questions under way',
    pattern: / new Map < [^>]* Promise < /,
    allowed: /^(contract\/under-way\.ts$|test\/|bench\/)/,
    why: 'contract/under-way.ts shares them, and keeps nothing of those that are answered',
  },
  {
    name: 'a default export',
    pattern: / export default /,
    allowed: /^(test|bench)\//,
    why: 'a name is the same wherever it is used',
  },
] as const

const judge = (file: string, { specifier, isType, isLazy }: Import, exists: Exists): string[] => {
  const folder = file.split('/')[0] ?? ''
  if (specifier.startsWith('node:')) return []
  if (specifier.startsWith('.')) return judgeRelative(file, specifier, exists)
  if (!specifier.startsWith('#')) return judgePackage(file, specifier, isType)

  const broken: string[] = []
  if (specifier.endsWith('.ts'))
    broken.push(`${specifier} has an ending: the build could not emit it`)
  else if (!exists(`${specifier.slice(1)}.ts`)) broken.push(`${specifier} leads nowhere`)
  if (specifier.startsWith(`#${folder}/`) && folder !== 'plugins' && !isTestHelper(specifier))
    broken.push(`${specifier} is in the same folder: import it relatively`)
  if (/^#(cli|test|bench)\//.test(specifier) && !/^(cli|test|bench)$/.test(folder))
    broken.push(`${specifier}: nothing imports a command or a test`)
  const rule = folderRules[folder]
  if (rule === undefined) return [...broken, `${folder} has no import rule: add one`]
  const allowed = [
    ...rule.may,
    ...(isType ? (rule.mayTypes ?? []) : []),
    ...(file === `${folder}/main.ts` ? (rule.mainMay ?? []) : []),
  ]
  if (!allowed.some((pattern) => pattern.test(specifier)))
    broken.push(`${specifier} may not be imported here${isType ? '' : ' as a value'}: ${rule.why}`)
  if (file === 'cli/sallyport.ts' && !isLazy && !/^#config\/nearest$/.test(specifier))
    broken.push(`${specifier} is loaded before it is known which command is called`)
  return broken
}

/** Tests reach their fakes by `#test/…`, for the way there by dots is long. */
const isTestHelper = (specifier: string) => specifier.startsWith('#test/')

const judgeRelative = (file: string, specifier: string, exists: Exists): string[] => {
  const target = posix.normalize(posix.join(posix.dirname(file), specifier))
  const broken: string[] = []
  if (!/\.(ts|json)$/.test(specifier)) broken.push(`${specifier} has no .ts ending`)
  else if (!exists(target)) broken.push(`${specifier} leads nowhere`)
  if (unitOf(file) !== unitOf(target))
    broken.push(`${specifier} leaves ${unitOf(file)}: write it with #, so that the boundary shows`)
  return broken
}

/** What relative imports stay in: a top-level folder, and of plugins each by itself. */
const unitOf = (file: string): string => {
  const [folder = '', inner, ...deeper] = file.split('/')
  return folder === 'plugins' && deeper.length > 0 ? join(folder, inner ?? '') : folder
}

const judgePackage = (file: string, specifier: string, isType: boolean): string[] => {
  if (freeOfHomes.test(file)) return []
  const [first = '', second = ''] = specifier.split('/')
  const name = first.startsWith('@') ? `${first}/${second}` : first
  const home = Object.hasOwn(homes, name) ? homes[name] : undefined
  if (home === undefined) return [`${name} has no home: say in homes where it may be imported`]
  const isAtHome = home.where.test(file) || (isType && home.types?.test(file) === true)
  return isAtHome ? [] : [`${name} is imported away from its home`]
}
