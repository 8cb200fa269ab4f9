import { classesIn } from '../engine/byte-classes.ts'
import type { Transformation } from './transformation.ts'

/** `t:replaceComments`: each C comment becomes a space, one that does not end too; a lone end stays. */
export const replaceComments: Transformation = {
  actsOn: classesIn('*'),
  apply: (value) => {
    let out = ''
    for (let i = 0; i < value.length;) {
      const start = value.indexOf('/*', i)
      if (start < 0) return out + value.slice(i)
      const end = value.indexOf('*/', start + 2)
      out += `${value.slice(i, start)} `
      if (end < 0) return out
      i = end + 2
    }
    return out
  },
}

/** `t:removeComments`: C and HTML comments go, and all from `--` or `#` on. */
export const removeComments: Transformation = {
  actsOn: classesIn('*-#'),
  apply: (value) => {
    let out = ''
    for (let i = 0; i < value.length;) {
      const closing = value.startsWith('/*', i)
        ? '*/'
        : value.startsWith('<!--', i)
          ? '-->'
          : undefined
      if (closing !== undefined) {
        const end = value.indexOf(closing, i + 2)
        if (end < 0) return `${out} `
        i = end + closing.length
      } else if (value.startsWith('--', i) || value[i] === '#') return `${out} `
      else out += value[i++]
    }
    return out
  },
}

/** `t:removeCommentsChar`: the signs of comments go, what is between them stays. */
export const removeCommentsChar: Transformation = {
  actsOn: classesIn('*-#'),
  apply: (value) => value.replace(/\/\*|\*\/|<!--|-->|--|#/g, ''),
}
