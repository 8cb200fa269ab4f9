import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TokenMaker } from './tokens.ts'

/** What a kind of flood sends: a script for wrk. */
export type Flood = { readonly name: string; readonly script: string }

/** Different ones of a kind, more than any cache here holds. */
const many = 20_000

/** Good requests and bad ones of every kind, each as a script for wrk. */
export const floods = (folder: string, tokens: TokenMaker): readonly Flood[] => {
  const valid = Array.from({ length: many }, (_, i) =>
    tokens.token({ sub: `flood-${i % 1000}`, jti: `flood-${i}` }),
  )
  const random = (bytes: number) => randomBytes(bytes).toString('base64url')
  const header = (kid: string) =>
    Buffer.from(JSON.stringify({ alg: 'ES256', kid, typ: 'JWT' })).toString('base64url')
  const save = (name: string, lines: readonly string[]): string => {
    const file = join(folder, `flood-${name}.txt`)
    writeFileSync(file, lines.join('\n'))
    return file
  }
  const script = (name: string, text: string): string => {
    const file = join(folder, `flood-${name}.lua`)
    writeFileSync(file, text)
    return file
  }
  const each = (name: string, lines: readonly string[], more = '') =>
    script(
      name,
      `local lines, i = {}, 0
for line in io.lines("${save(name, lines)}") do lines[#lines + 1] = "Bearer " .. line end
request = function()
  i = i % #lines + 1
  wrk.headers["Authorization"] = lines[i]
  ${more}
  return wrk.format()
end
`,
    )
  const parts = valid.map((token) => token.split('.') as [string, string, string])
  const one = [tokens.token()]
  const anyAddress =
    'wrk.headers["X-Forwarded-For"] = string.format("10.%d.%d.%d", math.random(0, 15), math.random(0, 255), math.random(0, 255))'
  return [
    { name: 'good', script: each('one', one) },
    { name: 'good-new', script: each('new', valid) },
    {
      name: 'good-on-its-own', // as those are whose connection ends with them
      script: each('own', one, `wrk.headers["Connection"] = "close"`),
    },
    { name: 'no-token', script: script('none', 'request = function() return wrk.format() end\n') },
    {
      name: 'garbage',
      script: each(
        'garbage',
        valid.map(() => `${random(40)}.${random(200)}.${random(64)}`),
      ),
    },
    {
      name: 'unknown-kid',
      script: each(
        'kid',
        parts.map(([, payload, signature]) => `${header(random(8))}.${payload}.${signature}`),
      ),
    },
    {
      name: 'forged-signature',
      script: each(
        'forged',
        parts.map(([head, payload]) => `${head}.${payload}.${random(64)}`),
      ),
    },
    {
      name: 'large-headers',
      script: each('large', one, `wrk.headers["X-Large"] = string.rep("x", 14000)`),
    },
    {
      name: 'oversized-headers',
      script: each('oversized', one, `wrk.headers["X-Large"] = string.rep("x", 20000)`),
    },
    { name: 'addresses', script: each('addresses', one, anyAddress) },
    {
      name: 'addresses-no-token',
      script: script(
        'addresses-none',
        `request = function()\n  ${anyAddress}\n  return wrk.format()\nend\n`,
      ),
    },
  ]
}
