// Loader hooks beneath those of Jazzer.js, which instruments JavaScript only: makes our TypeScript JavaScript first. Its
// command line wants targets that end in .js.
import { stripTypeScriptTypes } from 'node:module'

export const resolve = (specifier, context, next) =>
  next(specifier.replace(/\.ts\.js$/, '.ts'), context)

export const load = async (url, context, next) => {
  const loaded = await next(url, context)
  return loaded.format === 'module-typescript'
    ? { ...loaded, format: 'module', source: stripTypeScriptTypes(String(loaded.source)) }
    : loaded
}
