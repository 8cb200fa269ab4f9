import { problems } from '#contract/problem'
import { oauthErrors } from '#exchange/token/oauth-error'
import { cell, row } from './markdown.ts'
import { code } from './type-words.ts'

/** The reference of every refusal. */
export const problemsPage = (): string =>
  [
    `# Problems

Generated from \`contract/problem.ts\` by \`npm run docs\`. Every refusal has a tag, which stands in the answer (as
\`urn:sallyport:problem:TAG\`, RFC 9457), in the audit record and in \`sallyport_refusals_total\`. Tags keep their meaning.
`,
    row(['tag', 'status', 'what the caller reads']),
    row(['---', '---', '---']),
    ...Object.entries(problems).map(([tag, { status, title }]) =>
      row([code(tag), String(status), cell(title)]),
    ),
    `
## Token endpoint

The exchange answers at \`/token\` as RFC 6749 §5.2 and RFC 8693 §2.2.2 say: \`{ "error": CODE, "error_description": … }\`.
Its records have the tags above.
`,
    row(['error', 'status']),
    row(['---', '---']),
    ...Object.entries(oauthErrors).map(([error, { status }]) => row([code(error), String(status)])),
    '',
  ].join('\n')
