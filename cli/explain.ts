import { isIP } from 'node:net'
import { causeText } from '#contract/cause'
import { parseSpiffeId, type SpiffeId } from '#contract/spiffe-id'
import { formatFault, loadConfig } from '#config/load'
import { readBounded } from '#config/read-bounded'
import { exitCodes, readArguments } from './command.ts'
import { egressExplanation } from './explain/egress-explanation.ts'
import { explanationOf } from './explain/explanation.ts'
import { print } from './explain/print.ts'

const usage = `sallyport explain --config FILE [-X METHOD] [-H 'NAME: VALUE']… [--token-file FILE] [--from ADDRESS] [--at TIME] URL
sallyport explain --config FILE --workload SPIFFE_ID [-X METHOD] [-H 'NAME: VALUE']… [--absolute-form] [--address ADDRESS]… HOST:PORT | URL

Takes a request through every step of a gateway's way in, and says what each decides and why, and which are not reached.
Nothing is sent to the gateway, the exchange or a service; only the keys of issuers are fetched, as the gateway would.
Those of other trust domains are read where the gateway keeps their bundles.

  --config FILE      the gateway's configuration
  -X METHOD          GET, unless said otherwise
  -H 'NAME: VALUE'   a header, as the caller would send it; may be repeated
  --token TOKEN      the bearer token; visible to others on this machine, so rather
  --token-file FILE  a file that holds it
  --from ADDRESS     where the caller is; 203.0.113.1 unless said otherwise
  --at TIME          the instant of the request, ISO 8601; now, unless said otherwise
  --json             one JSON document, for scripts

With --workload it is the way out: may this workload have a tunnel to HOST:PORT, or what is at the URL? As clients do with a proxy,
an https URL is asked for through a tunnel, and where the gateway looks into that, the request goes every step of its own. The
name is resolved as the gateway would; nothing is dialled, no credential fetched, no certificate asked for.

  --workload SPIFFE_ID  who wants to go out, as if by its certificate
  --absolute-form       an https URL is asked of the proxy itself, as for \`protocol: https\`; http URLs always are
  --address ADDRESS     what the name leads to, instead of asking the DNS; may be repeated

Exits with 0 if the request would be forwarded, 1 if it would be refused, 2 if the command was not understood.
`

/** `sallyport explain`: why a request is or is not let through. */
export const run = async (args: readonly string[]): Promise<number> => {
  const read = readArguments(args, {
    allowPositionals: true,
    options: {
      config: { type: 'string' },
      request: { type: 'string', short: 'X', default: 'GET' },
      header: { type: 'string', short: 'H', multiple: true, default: [] },
      token: { type: 'string' },
      'token-file': { type: 'string' },
      from: { type: 'string', default: '203.0.113.1' },
      at: { type: 'string' },
      workload: { type: 'string' },
      'absolute-form': { type: 'boolean', default: false },
      address: { type: 'string', multiple: true, default: [] },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (!read.ok) return misunderstood(read.message)
  const { values, positionals } = read.given
  if (values.help) {
    process.stdout.write(usage)
    return exitCodes.done
  }
  const [url] = positionals
  if (values.config === undefined || url === undefined || positionals.length > 1)
    return misunderstood('Name one configuration and one URL.')
  const who = workloadOf(values, url)
  if (!who.ok) return misunderstood(who.why)
  const nowMs = values.at === undefined ? Date.now() : Date.parse(values.at)
  if (Number.isNaN(nowMs))
    return misunderstood(`${values.at} is not a time such as 2030-01-31T12:00:00Z.`)
  const headers = values.header.map(headerIn)
  const bad = values.header.find((_line, i) => headers[i] === undefined)
  if (bad !== undefined) return misunderstood(`${bad} is not a header such as 'Accept: text/html'.`)
  const token = await tokenOf(values)
  if (!token.ok) return misunderstood(token.why)

  const loaded = await loadConfig('gateway', values.config)
  if (!loaded.ok) {
    for (const fault of loaded.faults) process.stderr.write(`${formatFault(fault)}\n`)
    return exitCodes.faults
  }
  const common = {
    method: values.request,
    headers: headers.filter((header) => header !== undefined),
    nowMs,
  }
  const { egress } = loaded.config
  if (who.workload && !egress)
    return misunderstood(`${values.config} has no \`egress\`: nobody goes out there.`)
  const explanation =
    who.workload && egress
      ? await egressExplanation(
          { ...loaded.config, egress },
          {
            ...common,
            workload: who.workload,
            destination: url,
            absoluteForm: values['absolute-form'],
            addresses: values.address,
            from: values.from,
          },
        )
      : await explanationOf(loaded.config, {
          ...common,
          url,
          token: token.value,
          address: values.from,
        })
  process.stdout.write(
    values.json ? `${JSON.stringify(explanation, undefined, 2)}\n` : print(explanation),
  )
  return explanation.verdict.forwarded ? exitCodes.done : exitCodes.faults
}

const misunderstood = (message: string): number => {
  process.stderr.write(`${message}\n\n${usage}`)
  return exitCodes.usage
}

type Who =
  | { readonly ok: true; readonly workload: SpiffeId | undefined }
  | { readonly ok: false; readonly why: string }

/** Whose way out it is; undefined where it is the way in. Each has options that would say nothing of the other. */
const workloadOf = (
  given: {
    readonly workload?: string | undefined
    readonly token?: string | undefined
    readonly 'token-file'?: string | undefined
    readonly 'absolute-form': boolean
    readonly address: readonly string[]
  },
  url: string,
): Who => {
  const no = (why: string) => ({ ok: false, why }) as const
  const isUrl = /^https?:\/\/[^/]/.test(url)
  if (given.workload === undefined) {
    if (given.address.length > 0 || given['absolute-form'])
      return no('--address and --absolute-form are for the way out: name the --workload.')
    return isUrl
      ? { ok: true, workload: undefined }
      : no(`${url} is not a URL such as https://api.example.com/orders.`)
  }
  const workload = parseSpiffeId(given.workload)
  if (!workload.ok)
    return no(`${given.workload} is not a SPIFFE ID such as spiffe://mesh.example/shop.`)
  if (given.token !== undefined || given['token-file'] !== undefined)
    return no('A token is for the way in; on the way out --workload says who it is.')
  if (given['absolute-form'] && !isUrl) return no('--absolute-form is for a URL.')
  const noAddress = given.address.find((address) => isIP(address) === 0)
  if (noAddress !== undefined) return no(`${noAddress} is not an address.`)
  return { ok: true, workload: workload.value }
}

/** More than any gateway takes; whoever names a file that never ends gets an answer, too. */
const maxTokenFileBytes = 1024 * 1024

type TokenGiven =
  | { readonly ok: true; readonly value: string | undefined }
  | { readonly ok: false; readonly why: string }

const tokenOf = async (given: {
  readonly token?: string | undefined
  readonly 'token-file'?: string | undefined
}): Promise<TokenGiven> => {
  const file = given['token-file']
  if (file === undefined) return { ok: true, value: given.token }
  try {
    const bytes = await readBounded(file, maxTokenFileBytes)
    return bytes
      ? { ok: true, value: bytes.toString('utf8').trim() }
      : { ok: false, why: `${file} is too large for a token.` }
  } catch (cause) {
    return { ok: false, why: `${file} cannot be read: ${causeText(cause)}.` }
  }
}

/** A line break would be the end of a header on the wire, so it cannot be part of one here. */
const headerIn = (line: string): readonly [string, string] | undefined => {
  const colon = line.indexOf(':')
  return colon < 1 || /[\0\r\n]/.test(line)
    ? undefined
    : [line.slice(0, colon), line.slice(colon + 1).trim()]
}
