import type { Actions } from '../seclang/syntax.ts'

/** What an action adds to those of its rule. @throws TypeError for an argument it cannot read */
export type Action = (argument: string, so: Actions) => Partial<Actions>

export const noActions: Actions = {
  transformations: [],
  multiMatch: false,
  capture: false,
  chain: false,
  tags: [],
  effects: [],
}

/** A whole number within bounds. @throws TypeError */
export const readNumber = (text: string, min: number, max: number): number => {
  const number = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN
  if (!(number >= min && number <= max))
    throw new TypeError(`${JSON.stringify(text)} is not a number from ${min} to ${max}`)
  return number
}
