import { formatFaults, loadConfig } from '#config/load'

export type FoundAdmin =
  | { readonly url: string }
  | { readonly misunderstood: string }
  | { readonly faults: string }

const byDefault = 'http://127.0.0.1:9911'
const timeoutMs = 10_000

/** Where the admin listener is: as it was named, or as a gateway's configuration names it. */
export const findAdmin = async (
  named: string | undefined,
  configFile: string | undefined,
): Promise<FoundAdmin> => {
  if (named !== undefined && configFile !== undefined)
    return { misunderstood: '--admin and --config exclude each other.' }
  if (configFile === undefined) {
    const url = named ?? byDefault
    return /^http:\/\/[^/\s]+\/?$/.test(url) && URL.canParse(url)
      ? { url: url.replace(/\/$/, '') }
      : { misunderstood: `--admin ${url} is not a URL such as ${byDefault}.` }
  }
  const loaded = await loadConfig('gateway', configFile)
  if (!loaded.ok) return { faults: formatFaults(loaded.faults) }
  const { host, port } = loaded.config.listeners.admin
  if (port === 0)
    return {
      faults: `${configFile}: the admin listener takes any free port: name it with --admin.`,
    }
  return { url: `http://${reachable[host] ?? (host.includes(':') ? `[${host}]` : host)}:${port}` }
}

/** Where one listens on all addresses, one asks at one's own. */
const reachable: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '[::1]' }

export type Answered =
  | { readonly ok: true; readonly body: unknown }
  | { readonly ok: false; readonly why: string }

/** Asks a gateway's admin listener; what it refuses, or why it cannot be asked, is a sentence. */
export const askAdmin = async (
  url: string,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  order?: object,
): Promise<Answered> => {
  try {
    const answer = await fetch(`${url}${path}`, {
      method,
      signal: AbortSignal.timeout(timeoutMs),
      redirect: 'error',
      ...(order === undefined
        ? {}
        : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(order) }),
    })
    const body = parsed(await answer.text())
    if (answer.ok && body !== undefined) return { ok: true, body }
    return { ok: false, why: refusalIn(answer, body) }
  } catch (cause) {
    const { name, cause: inner } = cause as Error
    if (name !== 'TimeoutError' && !(inner instanceof Error)) throw cause
    const how =
      inner instanceof Error
        ? ((inner as NodeJS.ErrnoException).code ?? inner.message)
        : `no answer in ${timeoutMs / 1000} s`
    return {
      ok: false,
      why: `No admin listener of a gateway answers at ${url} (${how}): name one with --admin, or its configuration with --config.`,
    }
  }
}

const refusalIn = (answer: Response, body: unknown): string => {
  const problem = answer.headers.get('x-sallyport-problem')
  const { title, detail } = (body ?? {}) as { title?: unknown; detail?: unknown }
  if (problem === null || typeof title !== 'string')
    return `What answers there is no gateway of Sallyport (it said ${answer.status}).`
  return `${problem}: ${typeof detail === 'string' ? detail : title}`
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
