/** Text that may stand in a table. */
export const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ')

export const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
