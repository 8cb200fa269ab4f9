/**
 * What we and opa-wasm use of WebAssembly: Node has it, and its types stand in TypeScript's `dom` library alone.
 *
 * @see https://webassembly.github.io/spec/js-api/
 */
declare namespace WebAssembly {
  type Descriptor = { readonly name: string; readonly kind: string }

  class Module {
    constructor(bytes: Uint8Array)
    static exports(module: Module): Descriptor[]
  }
  class CompileError extends Error {}

  interface Memory {
    readonly buffer: ArrayBuffer
    grow(pages: number): number
  }
  interface MemoryDescriptor {
    initial: number
    maximum?: number
  }
  interface Instance {
    readonly exports: Readonly<Record<string, unknown>>
  }
  interface WebAssemblyInstantiatedSource {
    readonly instance: Instance
  }
}
