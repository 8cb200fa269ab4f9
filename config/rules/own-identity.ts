import type { Finding } from '../faults.ts'
import type { Rule } from './rule.ts'

/** A gateway that gets its certificates from the exchange shows one proof of who it is. */
export const ownIdentity: Rule = ({ kind, text, has }): readonly Finding[] => {
  if (kind !== 'gateway' || text('/identity/source') !== 'exchange') return []
  const names = ['joinTokenFile', 'tokenFile'].filter((name) => has(`/identity/${name}`))
  if (names.length === 1)
    return has('/identity/svidFile') && has('/identity/tokenFile')
      ? [
          {
            pointer: '/identity/svidFile',
            at: 'key',
            message:
              'with `tokenFile` every certificate is asked for by the token of the platform, so none is kept',
            remedy: 'take one of the two out',
          },
        ]
      : []
  return [
    {
      pointer: '/identity',
      at: 'key',
      message:
        names.length === 0
          ? 'neither `joinTokenFile` nor `tokenFile` stands here, so the gateway could not say who it is'
          : '`joinTokenFile` and `tokenFile` stand here together',
      remedy:
        names.length === 0
          ? 'add `joinTokenFile`, or in Kubernetes `tokenFile` with the projected token'
          : 'keep one of them',
    },
  ]
}
