import { causeText } from '#contract/cause'

/** What a primary asks of a worker. All of it is plain data. */
export const questions = [
  'piece',
  'start',
  'svid',
  'prepare',
  'commit',
  'abandon',
  'reopen',
  'unready',
  'status',
  'metrics',
  'admin',
  'close',
] as const
export type Question = (typeof questions)[number]

type Asked = { readonly id: number; readonly ask: Question; readonly given: unknown }
type Answered = { readonly id: number; readonly answer?: unknown; readonly fault?: string }

/** The other end: a worker in its primary, or the primary in a worker. */
export type ChannelEnd = {
  readonly send: (message: object) => void
  readonly onMessage: (listener: (message: unknown) => void) => void
}

/** Answers what the primary asks, in a worker. What an answer throws becomes a fault in words. */
export const answerOn = (
  end: ChannelEnd,
  answers: Readonly<Record<Question, (given: unknown) => unknown>>,
): void =>
  end.onMessage((message) => {
    const { id, ask, given } = message as Asked
    if (!questions.includes(ask)) return
    void (async () => answers[ask](given))().then(
      (answer) => end.send({ id, answer }),
      (cause: unknown) => end.send({ id, fault: causeText(cause) }),
    )
  })

export type Asker = {
  /** Rejects with the worker's fault, when it takes longer than `withinMs`, and when it is gone. */
  readonly ask: (ask: Question, given: unknown, withinMs: number) => Promise<unknown>
  /** It is gone: nothing will be answered any more. */
  readonly gone: () => void
}

/** Asks one worker. */
export const askerOn = (end: ChannelEnd, name: string): Asker => {
  let nextId = 0
  const open = new Map<number, (answered: Answered) => void>()
  let isGone = false
  end.onMessage((message) => {
    const answered = message as Answered
    open.get(answered.id)?.(answered)
  })
  return {
    ask: (ask, given, withinMs) =>
      new Promise((resolve, reject) => {
        if (isGone) return reject(new Error(`${name} has ended`))
        const id = (nextId += 1)
        const settle = ({ answer, fault }: Omit<Answered, 'id'>) => {
          clearTimeout(late)
          open.delete(id)
          if (fault === undefined) resolve(answer)
          else reject(new Error(fault))
        }
        const late = setTimeout(
          () => settle({ fault: `${name} did not answer within ${withinMs} ms (${ask})` }),
          withinMs,
        )
        open.set(id, settle)
        end.send({ id, ask, given } satisfies Asked)
      }),
    gone: () => {
      isGone = true
      for (const settle of open.values()) settle({ id: 0, fault: `${name} has ended` })
    },
  }
}
