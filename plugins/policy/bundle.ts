import type { LoadedPolicy } from '@open-policy-agent/opa-wasm'
import { createRequire } from 'node:module'
import type { PolicyReads } from '#contract/policy'
import { readBundleFile, readDataFile } from './bundle-file.ts'
import { dryRun } from './dry-run.ts'
import { evaluateWith, exportsOf, hostBuiltinsOf, type Evaluate } from './evaluate.ts'
import type { PolicyOptions } from './options.ts'
import { readsIn } from './reads.ts'
import { importedMemoryPages } from './wasm-imports.ts'

// Its ES module leaves out `loadPolicySync`, which its types promise.
const opaWasm = createRequire(import.meta.url)(
  '@open-policy-agent/opa-wasm',
) as typeof import('@open-policy-agent/opa-wasm')

const pageBytes = 64 * 1024
const abi = { major: 1, minMinor: 2 } // `opa_eval` came with 1.2
const buildIt =
  'Build it with `opa build -t wasm -e sallyport/decision --capabilities config/policy/capabilities.json`.'

/** A policy that was found fit to decide. */
export type PolicyBundle = {
  /** Of the bundle; with the digest of the data where these come from a file of their own. */
  readonly revision: string
  /** A fresh instance of it, with its data. */
  readonly instantiate: () => Evaluate
  /** What it looks at, if its bundle says so. */
  readonly reads: PolicyReads | undefined
}

/**
 * Reads a bundle and checks what can be checked before the first request: the archive, the module, that it needs
 * nothing of its host, that it has the entrypoint, that its data fit, and that it gives a decision.
 *
 * @throws Error that names the file, says what is wrong with it, and the remedy.
 */
export const loadPolicyBundle = (options: PolicyOptions): PolicyBundle => {
  const { bundleFile, dataFile } = options
  const bundle = naming(`policy bundle ${bundleFile}`, buildIt, () => readBundleFile(bundleFile))
  const replaced =
    dataFile === undefined
      ? undefined
      : naming(`policy data ${dataFile}`, 'It replaces the data of the bundle.', () =>
          readDataFile(dataFile),
        )

  return naming(`policy bundle ${bundleFile}`, buildIt, () => {
    const module = compile(bundle.wasm)
    const memory = {
      initial: importedMemoryPages(bundle.wasm) ?? 2,
      maximum: Math.ceil(options.maxMemoryBytes / pageBytes),
    }
    if (memory.initial > memory.maximum)
      throw new Error(`it needs ${memory.initial * pageBytes} bytes of memory, and may have less`)
    const instantiate = (): LoadedPolicy => {
      const policy = opaWasm.loadPolicySync(module, { ...memory })
      policy.setData((replaced ?? bundle).data)
      return policy
    }
    const entrypoint = check(instantiate(), options.entrypoint)
    dryRun(evaluateWith(instantiate(), entrypoint))
    return {
      revision: replaced ? `${bundle.revision}+data.${replaced.digest}` : bundle.revision,
      instantiate: () => evaluateWith(instantiate(), entrypoint),
      reads: readsIn(bundle.manifest, options.entrypoint, bundle.wasmDigest),
    }
  })
}

const compile = (wasm: Buffer): WebAssembly.Module => {
  let module: WebAssembly.Module
  try {
    module = new WebAssembly.Module(wasm)
  } catch (cause) {
    if (!(cause instanceof WebAssembly.CompileError)) throw cause
    throw new Error('policy.wasm in it is damaged', { cause })
  }
  const names = WebAssembly.Module.exports(module).map(({ name }) => name)
  if (!names.includes('opa_eval') || !names.includes('opa_wasm_abi_minor_version'))
    throw new Error('policy.wasm in it was not made by a current OPA')
  return module
}

/** @returns The number of the entrypoint. */
const check = (policy: LoadedPolicy, name: string): number => {
  const { opa_wasm_abi_version: major, opa_wasm_abi_minor_version: minor } = exportsOf(policy)
  if (major.value !== abi.major || minor.value < abi.minMinor)
    throw new Error(`its ABI is ${major.value}.${minor.value}, and must be 1.2 or a later 1.x`)
  const builtins = hostBuiltinsOf(policy)
  if (builtins.length > 0)
    throw new Error(`it calls what only a host can provide: ${builtins.join(', ')}`)
  const entrypoints = policy.entrypoints as Readonly<Record<string, number>>
  const entrypoint = Object.hasOwn(entrypoints, name) ? entrypoints[name] : undefined
  if (entrypoint === undefined)
    throw new Error(`it has no entrypoint ${name}, only ${Object.keys(entrypoints).join(', ')}`)
  return entrypoint
}

const naming = <T>(what: string, remedy: string, read: () => T): T => {
  try {
    return read()
  } catch (cause) {
    // The library throws strings, too: an ABI that it does not know, and what the module aborted with.
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`${what}: ${reason}. ${remedy}`, { cause })
  }
}
