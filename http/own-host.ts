import { isIP } from 'node:net'

/**
 * Whether a Host header names this listener. A page of anywhere can make its own name resolve to 127.0.0.1 (DNS
 * rebinding), and the browser then takes our answers for its own; but it cannot make that name an address.
 *
 * @param configured The host that the listener was told to listen on.
 */
export const isOwnHost = (host: string | undefined, configured: string): boolean => {
  const name = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::\d+)?$/i.exec(host ?? '')
  const bare = (name?.[1] ?? name?.[2] ?? '').toLowerCase()
  return isIP(bare) !== 0 || bare === 'localhost' || bare === configured.toLowerCase()
}
