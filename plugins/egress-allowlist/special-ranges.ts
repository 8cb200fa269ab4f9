import { networkOf } from '#contract/ip-address'

const range = (cidr: string, kind: string) => ({ network: networkOf(cidr), kind })

/**
 * Nobody may go there unless a rule opens the network by name. What the registries call globally reachable is closed too
 * where it leads to something other than a server of the internet.
 *
 * @see IANA IPv4 and IPv6 Special-Purpose Address Registries (2025-10-09)
 */
export const specialRanges = [
  range('0.0.0.0/8', 'this-network'), // RFC 791 §3.2; Linux takes 0.0.0.0 for loopback
  range('10.0.0.0/8', 'private-use'), // RFC 1918
  range('100.64.0.0/10', 'shared-address-space'), // RFC 6598
  range('127.0.0.0/8', 'loopback'), // RFC 1122 §3.2.1.3
  range('169.254.0.0/16', 'link-local'), // RFC 3927
  range('172.16.0.0/12', 'private-use'),
  range('192.0.0.0/24', 'protocol-assignments'), // RFC 6890 §2.1
  range('192.0.2.0/24', 'documentation'), // RFC 5737
  range('192.31.196.0/24', 'as112'), // RFC 7535
  range('192.52.193.0/24', 'amt'), // RFC 7450
  range('192.88.99.0/24', '6to4-relay'), // RFC 7526
  range('192.168.0.0/16', 'private-use'),
  range('192.175.48.0/24', 'as112'), // RFC 7534
  range('198.18.0.0/15', 'benchmarking'), // RFC 2544
  range('198.51.100.0/24', 'documentation'),
  range('203.0.113.0/24', 'documentation'),
  range('224.0.0.0/4', 'multicast'), // RFC 5771
  range('240.0.0.0/4', 'reserved'), // RFC 1112 §4, and broadcast

  range('::/128', 'unspecified'),
  range('::1/128', 'loopback'),
  range('::/96', 'ipv4-compatible'), // RFC 4291 §2.5.5.1
  range('::ffff:0:0:0/96', 'ipv4-translated'), // RFC 2765 §2.1
  range('64:ff9b::/96', 'nat64'), // RFC 6052
  range('64:ff9b:1::/48', 'nat64'), // RFC 8215
  range('100::/64', 'discard'), // RFC 6666
  range('100:0:0:1::/64', 'discard'), // RFC 9780
  range('2001::/32', 'teredo'), // RFC 4380
  range('2001::/23', 'protocol-assignments'), // RFC 2928
  range('2001:db8::/32', 'documentation'), // RFC 3849
  range('2002::/16', '6to4'), // RFC 3056
  range('2620:4f:8000::/48', 'as112'), // RFC 7534
  range('3fff::/20', 'documentation'), // RFC 9637
  range('5f00::/16', 'segment-routing'), // RFC 9602
  range('fc00::/7', 'unique-local'), // RFC 4193
  range('fe80::/10', 'link-local'),
  range('fec0::/10', 'site-local'), // RFC 3879
  range('ff00::/8', 'multicast'),
] as const

/** All IPv6 that is given out for the internet; everything else is reserved (RFC 4291 §2.4). */
export const globalUnicast = networkOf('2000::/3')

/** Where clouds tell a machine its secrets. Closed whatever a rule opens. */
export const metadataNetworks = [
  '169.254.169.254/32', // AWS, Azure, GCP, DigitalOcean, OCI
  '169.254.170.2/32', // AWS ECS
  '169.254.170.23/32', // AWS EKS
  '100.100.100.200/32', // Alibaba
  '192.0.0.192/32', // Oracle classic
  '168.63.129.16/32', // Azure wireserver: a public address
  'fd00:ec2::254/128', // AWS
  'fd00:ec2::23/128', // AWS EKS
].map(networkOf)

export const metadataNames: ReadonlySet<string> = new Set([
  'metadata',
  'metadata.google.internal',
  'metadata.tencentyun.com',
  'metadata.packet.net',
  'instance-data', // AWS EC2 classic
])
