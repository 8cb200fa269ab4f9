import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import fc from 'fast-check'
import { loadRules } from '#plugins/waf/seclang/load'
import type { LoadedRules, Rule } from '#plugins/waf/seclang/rule'
import { SecLangError } from '#plugins/waf/seclang/syntax'

const load = (text: string): LoadedRules => loadRules([{ name: 'rules.conf', text }])
const rulesOf = (text: string): readonly Rule[] =>
  load(text).entries.flatMap((entry) => (entry.kind === 'rule' ? [entry.rule] : []))
const only = (text: string): Rule => {
  const [rule, ...more] = rulesOf(text)
  assert.ok(rule && more.length === 0)
  return rule
}

suite('Reading SecLang', () => {
  test('lines that end in a backslash go on, comments do not', () => {
    const rule = only(
      '# a comment \\\nSecRule ARGS \\\n  "@rx a\\"b" \\\n  "id:1,\\\n  phase:1,msg:\'one, two\'"\n# end',
    )
    assert.equal(rule.line, 2)
    assert.equal(rule.message?.source, 'one, two')
    assert.equal(rule.links[0]?.operator?.argument.source, 'a"b')
  })
  test('selectors may be quoted, patterns with a bar in them, or XPath', () => {
    const { links } = only(
      `SecRule "ARGS:/a|b/|!ARGS:'ab'|&REQUEST_HEADERS:Host|XML:/*|XML://@*" "@streq x" "id:1"`,
    )
    assert.deepEqual(
      links[0]?.targets.map(({ variable, count, except }) => [variable, count, except.length]),
      [
        ['ARGS', false, 1],
        ['REQUEST_HEADERS', true, 0],
        ['XML', false, 0],
        ['XML_ATTRIBUTES', false, 0],
      ],
    )
  })
  test('an operator without a name is @rx, and ! negates', () => {
    const use = only('SecRule ARGS "!^a" "id:1"').links[0]?.operator
    assert.deepEqual([use?.name, use?.negated, use?.argument.source], ['rx', true, '^a'])
  })
  test('a default action speaks for its phase, for transformations until t:none, and for block', () => {
    const [one, two] = rulesOf(
      'SecDefaultAction "phase:2,deny,status:418,log,t:lowercase"\n' +
        'SecRule ARGS "a" "id:1,phase:2,block,t:trim"\nSecRule ARGS "a" "id:2,phase:2,t:none,pass"',
    )
    assert.deepEqual(one?.links[0]?.transformations, ['lowercase', 'trim'])
    assert.deepEqual([one?.disruption.kind, one?.status], ['deny', 418])
    assert.deepEqual(two?.links[0]?.transformations, [])
    assert.equal(two?.disruption.kind, 'pass')
  })
  test('rules are changed and removed by id, range, tag and message', () => {
    const rules = rulesOf(
      `SecRule ARGS|XML:/* "a" "id:1,tag:'one/x'"
SecRule ARGS "a" "id:2,msg:'second'"
SecRule ARGS "a" "id:30"
SecRule ARGS "a" "id:31"
SecRuleUpdateTargetById 1 "!ARGS:/^json\\.\\d+$/|REQUEST_BODY"
SecRuleUpdateActionById 2 "deny,status:404"
SecRuleRemoveById "30-39"
SecRuleRemoveByMsg "nothing"
SecRuleRemoveByTag "one"`.replace('SecRuleRemoveByTag "one"', ''),
    )
    assert.deepEqual(
      rules.map(({ id }) => id),
      [1, 2],
    )
    assert.deepEqual(
      rules[0]?.links[0]?.targets.map(({ variable, except }) => [variable, except.length]),
      [
        ['ARGS', 1],
        ['XML', 0],
        ['REQUEST_BODY', 0],
      ],
    )
    assert.equal(rules[1]?.status, 404)
  })

  const faults: Record<string, readonly [text: string, line: number, message: RegExp]> = {
    'a directive that there is not': ['\nSecNonsense On', 2, /no such directive/],
    'a variable that there is not': ['SecRule NONSENSE "a" "id:1"', 1, /no variable/],
    'an operator that there is not': ['SecRule ARGS "@nonsense a" "id:1"', 1, /no operator/],
    'an operator named like a method of objects': [
      'SecRule ARGS "@constructor a" "id:1"',
      1,
      /no operator/,
    ],
    'an action that there is not': ['SecRule ARGS "a" "id:1,nonsense"', 1, /no action/],
    'a transformation that there is not': [
      'SecRule ARGS "a" "id:1,t:nonsense"',
      1,
      /no transformation/,
    ],
    'a rule without an id': ['SecRule ARGS "a" "phase:1"', 1, /needs an id/],
    'an id that is taken': ['SecAction "id:1"\nSecAction "id:1"', 2, /taken/],
    'a pattern that is not closed': ['SecRule ARGS "(a" "id:1"', 1, /pattern/],
    'a quote that is not closed': ['SecRule ARGS "a', 1, /not closed/],
    'a chain that is not finished': ['SecRule ARGS "a" "id:1,chain"', 1, /not finished/],
    'a network that is none': [
      'SecRule REMOTE_ADDR "@ipMatch 10.0.0.0/33" "id:1"',
      1,
      /cannot read/,
    ],
    'a file that is not there': ['SecRule ARGS "@pmFromFile no.data" "id:1"', 1, /cannot read/],
    'a path that is not one of the two': ['SecRule XML:/a/b "a" "id:1"', 1, /XPath/],
    'a ctl that there is not': ['SecAction "id:1,ctl:nonsense=On"', 1, /ctl has no word/],
    'an included file that is not there': ['Include /no/such/file.conf', 1, /cannot read/],
    'a setting that would weaken rules': ['SecXmlExternalEntity On', 1, /not supported/],
  }
  for (const [name, [text, line, message]] of Object.entries(faults))
    test(`${name} is a fault with its place`, () => {
      assert.throws(
        () => load(text),
        (error: unknown) => {
          assert.ok(error instanceof SecLangError, String(error))
          assert.match(error.message, new RegExp(`^rules\\.conf:${line}: `))
          assert.match(error.message, message)
          return true
        },
      )
    })

  test('Include takes globs, in order, and data files are sought beside the rule', () => {
    const folder = mkdtempSync(join(tmpdir(), 'seclang-'))
    after(() => rmSync(folder, { recursive: true, force: true }))
    writeFileSync(join(folder, 'b.conf'), 'SecAction "id:2"')
    writeFileSync(join(folder, 'a.conf'), 'SecRule ARGS "@pmFromFile words.data" "id:1"')
    writeFileSync(join(folder, 'words.data'), '# comment\nfoo\n\nbar baz\n')
    writeFileSync(join(folder, 'main'), 'Include *.conf\n')
    const { entries } = loadRules([join(folder, 'main')])
    assert.deepEqual(
      entries.map((entry) => entry.kind === 'rule' && entry.rule.id),
      [1, 2],
    )
    const [first] = entries
    assert.ok(first?.kind === 'rule' && first.rule.links[0]?.test?.test('x BAR BAZ y'))
  })

  test('any text is either rules or a fault with its place', () => {
    const words = fc.constantFrom(
      'SecRule',
      'SecAction',
      'SecMarker',
      'ARGS',
      '"',
      "'",
      '\\',
      '\n',
      ' ',
      ':',
      ',',
      '|',
      '@rx',
      '(',
      'id:1',
      'phase:2',
      'chain',
      '%{',
      '}',
      '!',
      '&',
      '/',
      't:none',
      'setvar:tx.a=+1',
      '#',
      '\0',
      'é',
    )
    let loaded = 0
    fc.assert(
      fc.property(fc.array(fc.oneof(words, fc.string()), { maxLength: 30 }), (parts) => {
        try {
          load(parts.join(''))
          loaded++
        } catch (error) {
          if (!(error instanceof SecLangError)) throw error
        }
      }),
      { numRuns: 2000 },
    )
    assert.ok(loaded > 50)
  })
})
