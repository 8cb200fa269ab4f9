import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { parse } from 'yaml'
import type { EgressMode } from '#contract/egress'
import { faultOfHostPattern } from '#contract/host-pattern'
import { networkOf } from '#contract/ip-address'
import type { SpiffeId } from '#contract/spiffe-id'
import { parseAuthority } from '#gateway/egress/authority'
import { egressAllowlist } from '#plugins/egress-allowlist/guard'
import { hostMatcher } from '#contract/match-host'
import type { EgressAllowlistOptions, EgressDestination } from '#plugins/egress-allowlist/options'

type Row = { readonly ip: string; readonly port: number; readonly expect: string }
type HostPort = {
  readonly scheme?: string
  readonly hostPort: string
  readonly host: string
  readonly port: number | null
  readonly err: string
}
type Acl = {
  readonly services?: readonly Service[]
  readonly default?: Omit<Service, 'name'>
  readonly global_allow_list?: readonly string[]
  readonly global_deny_list?: readonly string[]
}
type Service = {
  readonly name: string
  readonly project: string
  readonly action: EgressMode
  readonly allowed_domains?: readonly string[]
}

const vectors = JSON.parse(
  readFileSync(new URL('../fixtures/smokescreen/smokescreen.json', import.meta.url), 'utf8'),
) as {
  config: { allowRanges: string[]; denyRanges: string[]; localIPs: string[]; listenPort: number }
  classifyAddr: Row[]
  unsafeAllowPrivate: { denyRanges: string[]; rows: Row[] }
  hostportNew: HostPort[]
  hostportNewWithScheme: HostPort[]
  aclDecision: {
    name: string
    yaml: string
    service: string
    host: string
    decision: string
    reason: string
    project: string
  }[]
  globMatch: { name: string; host: string; glob: string; match: boolean }[]
  invalidGlob: { name: string; glob: string; error: string }[]
  aclYaml: Record<string, string>
}

const common = { protocol: 'tls', withoutServerName: false, encryptedClientHello: false } as const
const allowing = (hosts: readonly string[] = []): EgressDestination[] =>
  hosts.length === 0 ? [] : [{ ...common, hosts: [...hosts] }]
const noRules: EgressAllowlistOptions = { deny: [], allow: [], rules: [], nat64Prefixes: [] }

/** How Smokescreen's words for an address are ours. */
const classesOf: Record<string, readonly string[]> = {
  ipAllowDefault: ['public'],
  ipAllowUserConfigured: ['public'],
  ipDenyNotGlobalUnicast: ['loopback', 'metadata', 'link-local', 'reserved', 'multicast'],
  ipDenyPrivateRange: ['private-use'],
  ipDenyUserConfigured: ['denied'],
  ipDenyCGNAT: ['shared-address-space'],
  ipDenyIPv6Embedding: ['nat64', '6to4', 'teredo'],
  ipDenySelfConnection: ['own-listener'],
}

suite('addresses are classed as Smokescreen does', () => {
  const { config } = vectors
  const judge = egressAllowlist(
    {
      ...noRules,
      deny: [
        { id: 'ranges', networks: config.denyRanges },
        { id: 'one-port', networks: ['8.8.8.8/32'], ports: [321] },
      ],
    },
    (address, port) => config.localIPs.includes(address) && port === config.listenPort,
  ).judgeAddress
  const differences: Record<string, { reason: string; class: string }> = {
    '64:ff9c::1 1': { reason: 'outside of 2000::/3 nothing is given out', class: 'reserved' },
  }
  for (const { ip, port, expect } of vectors.classifyAddr)
    test(`${ip} port ${port}: ${expect}`, () => {
      // What is one address and port there is a network and port of a destination here.
      const opened = [...config.allowRanges, ...(port === 321 ? ['10.0.0.1/32'] : [])]
      const judged = judge(ip, port, opened)
      const difference = differences[`${ip} ${port}`]
      if (difference) assert.equal(judged.class, difference.class, difference.reason)
      else assert.ok(classesOf[expect]?.includes(judged.class), judged.class)
      assert.equal(judged.isAllowed, judged.class === 'public')
    })

  const unsafe = egressAllowlist({
    ...noRules,
    deny: [{ id: 'ranges', networks: vectors.unsafeAllowPrivate.denyRanges }],
  }).judgeAddress
  for (const { ip, port, expect } of vectors.unsafeAllowPrivate.rows)
    test(`with private networks opened, ${ip} port ${port}: ${expect}`, () => {
      // One switch there; here each network is opened by name.
      const judged = unsafe(ip, port, ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'])
      assert.ok(classesOf[expect]?.includes(judged.class), judged.class)
    })
  test('none was left out', () => {
    assert.equal(vectors.classifyAddr.length, 41)
    assert.equal(vectors.unsafeAllowPrivate.rows.length, 17)
  })
})

suite('host and port are read as Smokescreen does', () => {
  const differences: Record<string, string> = {
    '[example.net]:1337': 'brackets are for IPv6 only',
    '[example.net.]:1337': 'brackets are for IPv6 only',
    '[127.0.0.1]:1337': 'brackets are for IPv6 only',
    '[2001:DB8::1337]:007': 'a port has no leading zeros',
    '🔐.example.com:123': 'only ASCII is read from the wire',
    '🔐.example.com:007': 'only ASCII is read from the wire',
    '✉️.example.com': 'only ASCII is read from the wire',
    '✉️.example.com.': 'only ASCII is read from the wire',
    'foo_bar.example.com:007': 'a port has no leading zeros',
    '2001:DB8::1337': 'an IPv6 address stands in brackets', // accepted there with a scheme
  }
  const defaultPorts: Record<string, number | undefined> = { http: 80, https: 443 }
  const seen = new Set<string>()
  const rows = [...vectors.hostportNew, ...vectors.hostportNewWithScheme]
  for (const { scheme = '', hostPort, host, port, err } of rows)
    test(`${scheme} ${hostPort}: ${err || `${host} ${port}`}`, () => {
      const read = parseAuthority(hostPort, defaultPorts[scheme])
      const isBracketedOnly = hostPort === '[2001:DB8::1337]' && scheme === 'https'
      if (isBracketedOnly) {
        // Refused there, for the brackets; RFC 3986 has them.
        assert.deepEqual(read, {
          ok: true,
          value: { host: '2001:db8::1337', isAddress: true, port: 443 },
        })
        return
      }
      const difference = differences[hostPort]
      if (err !== '' || difference !== undefined) {
        if (difference !== undefined) seen.add(hostPort)
        assert.equal(read.ok ? 'read' : read.problem.tag, 'authority-invalid', difference)
        return
      }
      assert.deepEqual(read.ok && [read.value.host, read.value.port], [
        host.replace(/\.$/, ''), // one dot at the end is taken off
        port,
      ])
    })
  test('each difference is of a row that is there', () => {
    assert.equal(rows.length, 36)
    assert.deepEqual([...seen].sort(), Object.keys(differences).sort())
  })
})

suite('rules decide as those of Smokescreen do', () => {
  const allowlistOf = (yaml: string) => {
    const acl = parse(vectors.aclYaml[yaml] ?? '') as Acl
    const rule = ({ name, project, action, allowed_domains }: Service, workload: string) => ({
      id: name,
      team: project,
      workloads: [workload],
      mode: action,
      destinations: allowing(allowed_domains),
      limits: { maxTunnels: 1, tunnelSeconds: 1, idleSeconds: 1 },
    })
    return egressAllowlist({
      ...noRules,
      deny: acl.global_deny_list ? [{ id: 'global', hosts: [...acl.global_deny_list] }] : [],
      allow: allowing(acl.global_allow_list),
      rules: [
        ...(acl.services ?? []).map((service) => rule(service, `spiffe://td/${service.name}`)),
        ...(acl.default ? [rule({ ...acl.default, name: 'default' }, 'spiffe://td/**')] : []),
      ],
    })
  }
  const differences: Record<string, string> = {
    'allow despite global denylist with allowed domains override': 'no rule beats `deny`',
  }
  for (const { name, yaml, service, host, decision, project } of vectors.aclDecision)
    test(name, () => {
      const read = parseAuthority(`${host}:443`)
      assert.ok(read.ok)
      const decided = allowlistOf(yaml).decide({
        spiffeId: `spiffe://td/${service}` as SpiffeId,
        ...read.value,
        ask: { kind: 'tunnel' },
      })
      const said = !decided.ok ? 'Deny' : decided.value.wouldRefuse ? 'AllowAndReport' : 'Allow'
      assert.equal(said, differences[name] ? 'Deny' : decision, differences[name])
      if (decided.ok) assert.equal(decided.value.team, project)
    })
  test('a workload that no rule is for goes nowhere, not even where all may go', () => {
    const decided = allowlistOf('no_default.yaml').decide({
      spiffeId: 'spiffe://td/unknown' as SpiffeId,
      host: 'goodexample1.com',
      isAddress: false,
      port: 443,
      ask: { kind: 'tunnel' },
    })
    assert.equal(decided.ok ? 'let through' : decided.problem.tag, 'destination-denied')
  })
  test('none was left out', () => assert.equal(vectors.aclDecision.length, 19))
})

suite("host patterns match as Smokescreen's globs do", () => {
  const differences: Record<string, string> = {
    'leading wildcard matches first two components': '`*.` is one label, `**.` several',
    'wildcard after leading component': 'a `*` may stand for one label within a name',
    'lowercase host with uppercase glob': 'capitals in a pattern are a fault',
  }
  for (const { name, host, glob, match } of vectors.globMatch)
    test(name, () => {
      const read = parseAuthority(host, 443)
      const matches =
        faultOfHostPattern(glob) === undefined && read.ok && hostMatcher(glob)(read.value.host)
      assert.equal(matches, differences[name] ? !match : match, differences[name])
    })
  for (const { name, glob, error } of vectors.invalidGlob)
    test(`refused when loaded: ${name}`, () => {
      const fault = faultOfHostPattern(glob) ?? ''
      assert.notEqual(fault, '')
      const [, asciiForm] = /use "([^"]+)"/.exec(error) ?? []
      if (asciiForm !== undefined) assert.ok(fault.includes(asciiForm), fault)
    })
  test('a glob within a name that Smokescreen refuses', () => {
    // `*bob.example.com` and `bob.ex*ample.com` are refused there; a `*` may be part of a label here, but not of the last two.
    assert.ok(hostMatcher('*bob.example.com')('alicebob.example.com'))
    assert.ok(!hostMatcher('*bob.example.com')('alice.bob.example.com'))
    assert.throws(() => hostMatcher('bob.ex*ample.com'), /top-level domain/)
  })
  test('none was left out', () => {
    assert.equal(vectors.globMatch.length, 8)
    assert.equal(vectors.invalidGlob.length, 4)
    assert.equal(Object.keys(vectors.aclYaml).length, 10)
  })
  test('a network with bits behind its prefix is a fault', () =>
    assert.throws(() => networkOf('10.1.0.0/8'), /behind its prefix/))
})
