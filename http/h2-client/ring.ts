import type { Connection } from './connection.ts'
import type { Exchange } from './exchange.ts'

/** Empties the slot of an exchange. It stands alone, since both `streams.ts` and `closing.ts` need it. */
export const releaseSlot = (connection: Connection, exchange: Exchange): void => {
  connection.ring[(exchange.streamId >>> 1) & connection.ringMask] = undefined
  connection.inFlight--
  if (connection.inFlight === 0) connection.idleSinceMs = connection.nowMs
}
