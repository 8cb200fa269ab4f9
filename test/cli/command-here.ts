import { AsyncLocalStorage } from 'node:async_hooks'
import { mock } from 'node:test'
import type { Command } from '#cli/command'

export type CommandEnded = {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

type Said = { stdout: string; stderr: string }

/**
 * Runs a command in this process, for loading the program takes longer than most commands do. One test a command starts
 * the program itself. One at a time; what others write meanwhile, such as a reporter of tests, goes where it goes.
 */
export const commandHere = async (
  run: Command['run'],
  args: readonly string[],
  cwd = process.cwd(),
): Promise<CommandEnded> => {
  const speaking = new AsyncLocalStorage<Said>()
  const listenTo = (name: keyof Said) => {
    const write = process[name].write.bind(process[name])
    return mock.method(process[name], 'write', (...given: Parameters<typeof write>) => {
      const said = speaking.getStore()
      if (said === undefined) return write(...given)
      said[name] += String(given[0])
      return true
    })
  }
  const before = process.cwd()
  const heard = [listenTo('stdout'), listenTo('stderr')]
  const said: Said = { stdout: '', stderr: '' }
  try {
    process.chdir(cwd)
    return { status: await speaking.run(said, () => run(args)), ...said }
  } finally {
    process.chdir(before)
    for (const { mock } of heard) mock.restore()
  }
}
