import type { Inspection } from '#contract/inspection'
import type { Problem, Result } from '#contract/problem'
import type { Soon } from '#contract/step'
import type { UpstreamControl, UpstreamHandler } from '#http/upstream-client'

/**
 * Stands between an upstream's answer and the caller. The rules see the head, then as much of the body as they want held
 * back, before the caller gets any of it; after that everything streams through.
 *
 * @param stop Ends the request with a problem. Called at most once; of `inner` nothing is called after it.
 */
export const inspectAnswer = (
  inspection: Inspection,
  inner: UpstreamHandler,
  stop: (problem: Problem) => void,
): UpstreamHandler => {
  let control: UpstreamControl | undefined
  let held: Buffer[] = []
  let heldBytes = 0
  let maxBytes = 0
  let release: (() => void) | undefined
  /** Stopped by the rules, or broken off by the upstream or the caller. */
  let isOver = false
  const end = (problem: Problem) => {
    if (isOver) return
    isOver = true
    stop(problem)
  }

  /** Goes on when the rules have answered, which may take a turn of the event loop; until then nothing more comes. */
  const asked = <T>(question: Soon<Result<T>>, admitted: (value: T) => void) => {
    const answered = (result: Result<T>) => {
      if (isOver) return
      if (result.ok) admitted(result.value)
      else end(result.problem)
    }
    if (!(question instanceof Promise)) return answered(question)
    control?.pause()
    question.then(
      (result) => {
        answered(result)
        control?.resume()
      },
      (cause: unknown) => end({ tag: 'internal', cause }),
    )
  }

  const showBody = (bytes: Buffer | undefined, whole: boolean, then: () => void) =>
    asked(inspection.body(bytes, whole), then)

  const letGo = (whole: boolean, then: () => void = () => {}) => {
    const bytes = Buffer.concat(held)
    held = []
    const forwardHead = release
    release = undefined
    showBody(bytes, whole, () => {
      forwardHead?.()
      if (bytes.length > 0) inner.onData(bytes, false)
      then()
    })
  }

  return {
    ...inner,
    onStart: (given) => {
      control = given
      inner.onStart(given)
    },
    onHead: (status, headers) =>
      asked(inspection.head(status, headers), (wanted) => {
        ;({ maxBytes } = wanted)
        const forwardHead = () => inner.onHead(status, headers)
        if (maxBytes > 0) release = forwardHead
        else forwardHead()
      }),
    onData: (chunk, last) => {
      if (isOver) return
      if (!release) return inner.onData(chunk, last)
      held.push(chunk)
      heldBytes += chunk.length
      if (heldBytes >= maxBytes) letGo(false)
    },
    onEnd: (trailers) => {
      if (isOver) return
      const tell = () => inner.onEnd(trailers)
      if (release) letGo(true, tell)
      else if (maxBytes > 0) tell()
      else showBody(undefined, true, tell)
    },
    onError: (fault) => {
      if (isOver) return
      isOver = true // a question that is still open has lost its answer
      inner.onError(fault)
    },
  }
}
