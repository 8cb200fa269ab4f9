import { quote, type Finding } from '../faults.ts'
import { lastSegmentOf } from '../pointer.ts'
import type { Rule, Subject } from './rule.ts'

type Listener = {
  readonly pointer: string
  readonly name: string
  readonly host: string
  readonly port: number
}

/** No two listeners want one port, and the admin listener is not shown to the world by accident. */
export const listeners: Rule = (subject) => {
  const all = subject
    .pointersIn('listeners')
    .flatMap((pointer) => listenerOf(subject, pointer, lastSegmentOf(pointer)))
  return [...taken(all), ...exposed(all), ...timeouts(subject, all)]
}

const listenerOf = (subject: Subject, pointer: string, name: string): Listener[] => {
  const host = subject.text(`${pointer}/host`)
  const port = subject.number(`${pointer}/port`)
  return host === undefined || port === undefined ? [] : [{ pointer, name, host, port }]
}

const taken = (all: readonly Listener[]): Finding[] =>
  all.flatMap((listener, i) => {
    const other = all.slice(0, i).find((earlier) => collide(earlier, listener))
    if (other === undefined) return []
    return {
      pointer: `${listener.pointer}/port`,
      at: 'value',
      message: `the listeners \`${other.name}\` and \`${listener.name}\` both want port ${listener.port}`,
      remedy: 'give one of them another port',
    }
  })

const collide = (a: Listener, b: Listener): boolean =>
  a.port !== 0 && a.port === b.port && (a.host === b.host || isAny(a.host) || isAny(b.host))

const isAny = (host: string): boolean => host === '0.0.0.0' || host === '::'

const exposed = (all: readonly Listener[]): Finding[] =>
  all
    .filter(({ name, host }) => name === 'admin' && !isLoopback(host))
    .map(({ pointer, host }) => ({
      severity: 'warning',
      pointer: `${pointer}/host`,
      at: 'value',
      message: `the admin listener is open to the network on ${quote(host)}`,
      remedy: 'use 127.0.0.1, or let a network policy keep everyone but operators out',
    }))

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || host.startsWith('127.')

/** Node itself refuses to start when a head may take longer than the whole request. */
const timeouts = (subject: Subject, all: readonly Listener[]): Finding[] =>
  all.flatMap(({ pointer }) => {
    const headers = subject.number(`${pointer}/limits/headersTimeoutMs`)
    const request = subject.number(`${pointer}/limits/requestTimeoutMs`)
    if (headers === undefined || request === undefined || headers <= request) return []
    return {
      pointer: `${pointer}/limits/headersTimeoutMs`,
      at: 'value',
      message: `a head may take ${headers} ms, longer than the ${request} ms of its whole request`,
      remedy: 'lower `headersTimeoutMs` or raise `requestTimeoutMs`',
    }
  })
