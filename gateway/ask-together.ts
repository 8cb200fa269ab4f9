import {
  maxTokenBatch,
  maxTokenBatchBytes,
  type TokenBatchQuestion,
} from '#contract/token-exchange'
import {
  questionText,
  sendBatch,
  type AskedQuestion,
  type Batch,
  type Told,
} from './token-batch.ts'

/** So many requests of which nothing is answered yet are under way; what is asked meanwhile travels together. */
const maxUnanswered = 2
/** Of JSON's list. */
const bracketBytes = 2
/** Nobody waits longer for those: all that they ask may be slow. */
const maxHoldMs = 20

/**
 * Asks the exchange all that is to be asked in one turn of the event loop in one request, and while it is busy all that
 * comes up. A question of its own would cost both sides half as much again.
 *
 * @returns A function that never rejects.
 */
export const askTogether = (batch: Batch): ((question: TokenBatchQuestion) => Promise<Told>) => {
  let gathered: AskedQuestion[] = []
  let gatheredBytes = 0
  let gatheredAtMs = 0
  let unanswered = 0
  let isHeld = false

  const send = () => {
    const questions = gathered
    gathered = []
    gatheredBytes = 0
    if (questions.length === 0) return
    unanswered += 1
    sendBatch(questions, batch, performance.now() - gatheredAtMs, () => {
      unanswered -= 1
      send()
    })
  }
  const hold = () => {
    if (isHeld) return
    isHeld = true
    setTimeout(() => {
      isHeld = false
      send()
    }, maxHoldMs)
  }
  const sendUnlessHeld = () => {
    if (unanswered < maxUnanswered) send()
    else hold()
  }
  const gather = (asked: AskedQuestion) => {
    const isFull =
      gathered.length === maxTokenBatch ||
      gatheredBytes + asked.text.length + bracketBytes > maxTokenBatchBytes
    if (isFull) send()
    gatheredBytes += asked.text.length + 1
    if (gathered.push(asked) > 1) return
    gatheredAtMs = performance.now()
    // When all that this turn has woken has run, and before the client writes.
    process.nextTick(sendUnlessHeld)
  }
  return (question) =>
    new Promise((tell) => {
      gather({ text: questionText(question), tell })
    })
}
