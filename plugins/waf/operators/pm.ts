import { containsAny } from './contains-any.ts'
import type { Operator } from './operator.ts'

/** `@pm PHRASE PHRASE …`: one of the phrases occurs, ASCII case ignored. Captures the phrase found first. */
export const pm: Operator = (argument) => containsAny(splitPhrases(argument))

/** Splits at spaces; `|41 42|` is bytes in hexadecimal, as Snort writes them. */
const splitPhrases = (argument: string): readonly string[] =>
  argument
    .split(/\s+/)
    .filter((phrase) => phrase !== '')
    .map((phrase) =>
      phrase.replace(/\|((?:[0-9A-Fa-f]{2} ?)+)\|/g, (_, hex: string) =>
        Buffer.from(hex.replaceAll(' ', ''), 'hex').toString('latin1'),
      ),
    )
