import type { LoadedPolicy } from '@open-policy-agent/opa-wasm'
import { deepFreeze } from '#contract/deep-freeze'

const pageBytes = 64 * 1024
const maxOutputBytes = 64 * 1024
const maxBytesOfCodeUnit = 3
/** Results that are remembered. */
const maxResults = 64
const maxRememberedChars = 2048

/**
 * Evaluates one input, given as JSON. What it gives is the same, frozen object for the same result. It is not re-entrant, and
 * once it has thrown it must not be used again.
 */
export type Evaluate = (input: string) => unknown

/** What a module compiled by OPA exports, as far as we call it. */
export type OpaExports = {
  readonly opa_wasm_abi_version: { readonly value: number }
  readonly opa_wasm_abi_minor_version: { readonly value: number }
  readonly builtins: () => number
  readonly opa_json_dump: (address: number) => number
  readonly opa_eval: (
    reserved: 0,
    entrypoint: number,
    dataAddress: number,
    inputAddress: number,
    inputBytes: number,
    heapAddress: number,
    format: 0, // JSON
  ) => number
}

export const exportsOf = ({ wasmInstance }: LoadedPolicy): OpaExports =>
  ('instance' in wasmInstance ? wasmInstance.instance : wasmInstance).exports as OpaExports

/**
 * Calls `opa_eval` itself, which is all that the library's own `evaluate` does, for that has no bound on what comes back
 * and takes a `Buffer` for an object.
 *
 * @see https://www.openpolicyagent.org/docs/wasm#evaluation
 */
export const evaluateWith = (policy: LoadedPolicy, entrypoint: number): Evaluate => {
  const { opa_eval: opaEval } = exportsOf(policy)
  const memory = memoryOf(policy)
  const read = resultReader()
  return (input) => {
    const inputAt = policy.dataHeapPtr as number
    makeRoom(policy, inputAt + input.length * maxBytesOfCodeUnit)
    const inputBytes = memory().write(input, inputAt)
    const heapAt = inputAt + inputBytes
    const resultAt = opaEval(0, entrypoint, policy.dataAddr, inputAt, inputBytes, heapAt, 0)
    return read(memory(), resultAt)
  }
}

/** The names of the builtins that the module expects of its host. */
export const hostBuiltinsOf = (policy: LoadedPolicy): readonly string[] => {
  const { builtins, opa_json_dump: dump } = exportsOf(policy)
  return Object.keys(readJson(memoryOf(policy)(), dump(builtins())) as object)
}

/** A view of the memory, which has another buffer whenever it has grown. */
const memoryOf = ({ mem }: LoadedPolicy): (() => Buffer) => {
  let view = Buffer.from(mem.buffer)
  return () => {
    if (view.buffer !== mem.buffer) view = Buffer.from(mem.buffer)
    return view
  }
}

const makeRoom = ({ mem }: LoadedPolicy, bytes: number): void => {
  const missing = bytes - mem.buffer.byteLength
  if (missing > 0) mem.grow(Math.ceil(missing / pageBytes))
}

/** Policies say few different things: most results were read before. */
const resultReader = () => {
  const known = new Map<string, unknown>()
  return (memory: Buffer, address: number): unknown => {
    const text = readText(memory, address)
    const before = known.get(text)
    if (before !== undefined) return before
    const result = deepFreeze(JSON.parse(text) as unknown)
    if (text.length > maxRememberedChars) return result
    if (known.size >= maxResults) known.clear()
    known.set(text, result)
    return result
  }
}

const readJson = (memory: Buffer, address: number): unknown => JSON.parse(readText(memory, address))

const readText = (memory: Buffer, address: number): string => {
  const begin = address >>> 0
  const length = memory.subarray(begin, begin + maxOutputBytes + 1).indexOf(0)
  if (length < 0) throw new RangeError(`the policy gave more than ${maxOutputBytes} bytes`)
  return memory.toString('utf8', begin, begin + length)
}
