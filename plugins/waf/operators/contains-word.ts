import type { Operator } from './operator.ts'

const wordByte = /[A-Za-z0-9_]/

/** `@containsWord TEXT`: the text occurs with no word byte on either side. */
export const containsWord: Operator = (argument) => ({
  test: (value) => {
    if (argument === '') return true
    for (let at = value.indexOf(argument); at >= 0; at = value.indexOf(argument, at + 1)) {
      const [before, after] = [value[at - 1], value[at + argument.length]]
      if (!wordByte.test(before ?? ' ') && !wordByte.test(after ?? ' ')) return true
    }
    return false
  },
  capture: () => [argument],
})
