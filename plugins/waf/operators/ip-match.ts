import { matchAny } from './address-list.ts'
import type { Operator } from './operator.ts'

/** `@ipMatch ADDRESS,NETWORK/BITS,…`: the value is an address in one of them. */
export const ipMatch: Operator = (argument) => matchAny('@ipMatch', argument.split(','))
