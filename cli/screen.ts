import { styleText } from 'node:util'

/** How things look on a terminal; plain where there is none. */
const styled = (style: Parameters<typeof styleText>[0]) => (text: string) =>
  styleText(style, text, { stream: process.stdout })

export const bold = styled('bold')
export const dim = styled('dim')
export const green = styled('green')
export const red = styled('red')
export const cyan = styled('cyan')

export const say = (text = ''): void => void process.stdout.write(`${text}\n`)

/** Two columns, the first as wide as it needs to be. */
export const columns = (rows: readonly (readonly [string, string])[], indent = '  '): string => {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `${indent}${left.padEnd(width)}  ${right}`).join('\n')
}
