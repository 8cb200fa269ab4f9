import type { GatewayConfig } from '#config/schema'
import { listeners } from '#identity/svid/listeners'
import type { OwnSvid, Svid } from '#identity/svid/svid'
import type { AdminQuestion } from './admin/ask-app.ts'
import { fromPortable, joining, type Piece } from '#contract/portable'
import type { PreparedGateway, RunningGateway } from './run.ts'
import { answerOn, type ChannelEnd } from './worker-channel.ts'

/** What a worker is started with. */
export type WorkerStart = {
  readonly config: GatewayConfig
  readonly revision: string
  readonly svid: Svid
  readonly ticketKeys: Buffer
}

export type WorkerPorts = {
  readonly end: ChannelEnd
  readonly start: (given: WorkerStart, ownSvid: OwnSvid) => Promise<StartedWorker>
  /** After the last answer. */
  readonly exit: () => void
}

export type StartedWorker = {
  readonly running: RunningGateway
  /** As plain data, to be added to those of others. */
  readonly figures: () => Promise<object>
}

/** One of several processes that serve. It does what its primary asks, and ends with it. */
export const runWorker = ({ end, start, exit }: WorkerPorts): void => {
  let started: StartedWorker | undefined
  let prepared: PreparedGateway | undefined
  const changed = listeners<Svid>()
  let pieces = joining()
  /** That which came in pieces before. */
  const configSent = () => {
    const config = pieces.whole() as GatewayConfig
    pieces = joining()
    return config
  }
  const gateway = () => {
    if (!started) throw new Error('it has not started')
    return started.running
  }
  let svid: Svid | undefined
  const ownSvid: OwnSvid = {
    current: () => {
      if (!svid) throw new Error('it has no SVID')
      return svid
    },
    onChange: changed.add,
    close: () => {},
  }

  answerOn(end, {
    piece: (given) => pieces.add(given as Piece),
    start: async (given) => {
      const config = configSent()
      const whole = fromPortable(given) as Omit<WorkerStart, 'ticketKeys' | 'config'> & {
        readonly ticketKeys: string
      }
      svid = whole.svid
      const ticketKeys = Buffer.from(whole.ticketKeys, 'base64')
      started = await start({ ...whole, config, ticketKeys }, ownSvid)
    },
    svid: (given) => {
      svid = fromPortable(given) as Svid
      changed.tell(svid)
    },
    prepare: async (given) => {
      const config = configSent()
      const { revision } = given as Pick<WorkerStart, 'revision'>
      prepared?.abandon()
      prepared = undefined
      prepared = await gateway().prepare(config, revision)
    },
    commit: () => {
      if (!prepared) throw new Error('it has prepared nothing')
      prepared.commit()
      prepared = undefined
    },
    abandon: () => {
      pieces = joining()
      prepared?.abandon()
      prepared = undefined
    },
    reopen: () => gateway().reopenRecords(),
    unready: () => gateway().unready(),
    status: () => gateway().status(),
    metrics: () => started?.figures() ?? [],
    admin: (given) => gateway().askAdmin(given as AdminQuestion),
    close: async () => {
      await started?.running.close()
      setImmediate(exit) // once the answer is out
    },
  })
}
