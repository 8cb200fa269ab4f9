/** Makes a queue: each task begins when the one before has ended, well or not. */
export const serially = () => {
  let last: Promise<unknown> = Promise.resolve()
  return <T>(task: () => Promise<T>): Promise<T> => {
    const result = last.then(task, task)
    last = result.catch(() => {})
    return result
  }
}
