import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { run } from '#cli/explain'
import { whyRefused } from '#cli/explain/why-refused'

/** Runs the command in this process; what it prints to stderr is its answer to a person who typed something wrong. */
const explain = async (...args: readonly string[]) => {
  const said: string[] = []
  const written = mock.method(process.stderr, 'write', (text: string) => said.push(text))
  try {
    return { code: await run(args), said: said.join('') }
  } finally {
    written.mock.restore()
  }
}
const asked = ['--config', 'gateway.yaml', 'https://api.test/orders'] as const

for (const [what, args, sentence] of [
  ['a token file that is not there', ['--token-file', '/nowhere.jwt'], /^\/nowhere\.jwt cannot be/],
  ['a token file that never ends', ['--token-file', '/dev/zero'], /^\/dev\/zero is too large/],
  ['a folder for a token file', ['--token-file', '/'], /^\/ cannot be read/],
  ['a header with a line break', ['-H', 'x-a: b\r\nx-c: d'], /is not a header such as/],
  ['a header without a colon', ['-H', 'x-a'], /is not a header such as/],
  ['a time that is none', ['--at', 'noon'], /is not a time such as/],
] as const)
  test(`${what} is not understood, and said in a sentence`, async () => {
    const { code, said } = await explain(...args, ...asked)
    assert.equal(code, 2)
    assert.match(said, sentence)
    assert.doesNotMatch(said, /\n {4}at /)
  })

test('the reasons of a policy are told as a person reads them', () => {
  const cause = {
    allow: false,
    reasons: [{ code: 'role-missing', message: 'one of these is needed: viewer', class: 'role' }],
    revision: 'r',
  }
  assert.equal(
    whyRefused({ tag: 'policy-denied', cause }),
    'policy-denied: role-missing, one of these is needed: viewer',
  )
})

test('the findings of the firewall name rule and place', () => {
  const rules = [
    { id: 7, message: 'SQL injection', variable: 'ARGS:q', matched: '', exclusion: '' },
  ]
  assert.equal(
    whyRefused({ tag: 'attack-suspected', cause: { rules } }),
    'attack-suspected: rule 7, SQL injection, in ARGS:q',
  )
})
