import { networkInterfaces } from 'node:os'
import { addressBytes, addressText } from '#contract/ip-address'

/**
 * Tells whether an address and port are those of a listener of this process, by whichever of the machine's addresses: what
 * goes out must not come in again.
 *
 * @param ports Asked each time, for ports may be chosen by the system.
 */
export const ownListeners = (
  ports: () => readonly number[],
): ((address: string, port: number) => boolean) => {
  return (address, port) => ports().includes(port) && isOfThisMachine(address)
}

const isOfThisMachine = (address: string): boolean => {
  const bytes = addressBytes(address)
  if (bytes === undefined) return false
  if (bytes[0] === 127 && bytes.length === 4) return true
  if (bytes.every((byte) => byte === 0)) return true // the unspecified address leads to this machine
  const text = addressText(bytes)
  return Object.values(networkInterfaces())
    .flat()
    .some((own) => own && addressText(addressBytes(own.address.split('%')[0] ?? '') ?? []) === text)
}
