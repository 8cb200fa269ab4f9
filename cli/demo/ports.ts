import { once } from 'node:events'
import { createServer } from 'node:net'

/** Every port of the demo. */
export type DemoPorts = Record<PortName, number>
export type PortName = (typeof portNames)[number]

const portNames = [
  'ingress',
  'exchange',
  'egress',
  'admin',
  'exchangeAdmin',
  'issuer',
  'orders',
  'billing',
  'impostor',
] as const

const defaults: DemoPorts = {
  ingress: 8443,
  exchange: 8444,
  egress: 8445,
  admin: 9911,
  exchangeAdmin: 9912,
  issuer: 8450,
  orders: 8451,
  billing: 8452,
  impostor: 8453,
}

/** @param base The first of as many ports in a row; undefined for the usual ones. */
export const demoPorts = (base: number | undefined): DemoPorts => {
  if (base === undefined) return defaults
  const moved = portNames.map((name, i) => [name, base + i] as const)
  return Object.fromEntries(moved) as DemoPorts
}

/** Those that somebody else listens on, each with what the demo would use it for. */
export const takenPorts = async (ports: DemoPorts): Promise<readonly [PortName, number][]> => {
  const taken: [PortName, number][] = []
  for (const name of portNames) if (!(await isFree(ports[name]))) taken.push([name, ports[name]])
  return taken
}

const isFree = async (port: number): Promise<boolean> => {
  const server = createServer()
  try {
    await once(server.listen(port, '127.0.0.1'), 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}
