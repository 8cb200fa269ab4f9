/** The kind of a token: one bit each, so that a set of kinds is their sum and a test for it one operation. */
export type Kind = number

export const keyword: Kind = 1 << 0
export const union: Kind = 1 << 1
/** GROUP BY, ORDER BY, LIMIT and the like. */
export const group: Kind = 1 << 2
/** SELECT, INSERT, CASE and the like. */
export const expression: Kind = 1 << 3
export const type: Kind = 1 << 4
export const func: Kind = 1 << 5
export const bareword: Kind = 1 << 6
export const number: Kind = 1 << 7
export const variable: Kind = 1 << 8
export const string: Kind = 1 << 9
export const operator: Kind = 1 << 10
/** AND, OR, && and the like. */
export const logic: Kind = 1 << 11
export const comment: Kind = 1 << 12
export const collate: Kind = 1 << 13
export const transactSql: Kind = 1 << 14
/** What cannot be read for certain, and is not written in good faith. */
export const evil: Kind = 1 << 15
export const unknown: Kind = 1 << 16
export const leftParenthesis: Kind = 1 << 17
export const rightParenthesis: Kind = 1 << 18
export const leftBrace: Kind = 1 << 19
export const rightBrace: Kind = 1 << 20
export const dot: Kind = 1 << 21
export const comma: Kind = 1 << 22
export const colon: Kind = 1 << 23
export const semicolon: Kind = 1 << 24
export const backslash: Kind = 1 << 25

/** How libinjection writes the kinds in a fingerprint, by bit. */
const letters = 'kUBEtfn1vso&cATX?(){}.,:;\\'

/** The letter of a kind, as a character code. */
export const codeOf = (kind: Kind): number => letters.charCodeAt(31 - Math.clz32(kind))

export const letterOf = (kind: Kind): string => String.fromCharCode(codeOf(kind))

export const kindOf = (letter: string): Kind => 1 << letters.indexOf(letter)
