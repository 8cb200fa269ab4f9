import type { Suggestion } from './suggest.ts'

const impliedPort = {
  tls: 443,
  'tls-inspected': 443,
  tcp: 443,
  http: 80,
  https: 443,
} as const

/** YAML to be pasted: for each rule the entries that its `destinations` lack, each host with how often it was seen. */
export const asYaml = (byRule: ReadonlyMap<string, readonly Suggestion[]>): string =>
  [...byRule]
    .flatMap(([rule, suggestions]) => [
      `- id: ${JSON.stringify(rule)}`,
      '  destinations:',
      ...suggestions.flatMap(entry),
      '',
    ])
    .join('\n')

const entry = ({ protocol, ports, methods, paths, from }: Suggestion): readonly string[] => [
  '    - hosts:',
  ...from.map(
    ({ host, times, workloads, last }) =>
      `        - ${JSON.stringify(host)} # ${times} ${times === 1 ? 'time' : 'times'}, by ${workloads} ${workloads === 1 ? 'workload' : 'workloads'}, last ${last}`,
  ),
  ...(protocol === 'tls' ? [] : [`      protocol: ${protocol}`]),
  ...(ports.length === 1 && ports[0] === impliedPort[protocol] ? [] : list('ports', ports)),
  ...(methods.length === 0 ? [] : list('methods', methods)),
  ...(paths.length === 0 ? [] : list('paths', paths)),
]

const list = (key: string, values: readonly (string | number)[]) => [
  `      ${key}: [${values.map((value) => JSON.stringify(value)).join(', ')}]`,
]
