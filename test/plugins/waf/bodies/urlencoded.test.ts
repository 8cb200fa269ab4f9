import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { defaultBodyLimits } from '#plugins/waf/bodies/body'
import { urlencodedBody } from '#plugins/waf/bodies/urlencoded'
import { anyText, bytesOf, limitsWith, millisecondsOf, overgrown } from './bytes.ts'

const argsOf = (body: string) => urlencodedBody(body, defaultBodyLimits).args

suite('urlencoded bodies', () => {
  for (const [body, args] of [
    ['', []],
    [
      'a=1&b=2',
      [
        ['a', '1'],
        ['b', '2'],
      ],
    ],
    [
      'a=1&a=2',
      [
        ['a', '1'],
        ['a', '2'],
      ],
    ],
    ['a', [['a', '']]],
    ['a=', [['a', '']]],
    ['=a', [['', 'a']]],
    ['a=b=c', [['a', 'b=c']]],
    ['a=1&', [['a', '1']]],
    [
      'a=1&&b',
      [
        ['a', '1'],
        ['', ''],
        ['b', ''],
      ],
    ],
    ['a+b=c+d%2b', [['a b', 'c d+']]],
    ['%61%3d=%26%00%FF', [['a=', '&\0\xff']]],
    ['a=%2527', [['a', '%27']]],
    ['a=%u0041', [['a', '%u0041']]],
  ] as const)
    test(`${body} has ${args.length} arguments`, () => assert.deepEqual(argsOf(body), args))

  for (const body of ['a=%', 'a=%4', 'a=%zz', '%g1=a', 'a=%4%41', 'a=%&b=1'])
    test(`${body} keeps what it cannot decode, and says so`, () => {
      const parsed = urlencodedBody(body, defaultBodyLimits)
      assert.equal(parsed.invalidEncoding, true)
      assert.ok(parsed.args.some((pair) => pair.some((text) => text.includes('%'))))
      assert.equal(parsed.error, undefined)
    })

  test('a separator may be another', () =>
    assert.deepEqual(urlencodedBody('a=1;b=2&c', defaultBodyLimits, ';').args, [
      ['a', '1'],
      ['b', '2&c'],
    ]))

  test('arguments over the limit are refused, those up to it kept', () => {
    const parsed = urlencodedBody('a=1&b=2&c=3', limitsWith({ maxArguments: 2 }))
    assert.deepEqual(parsed.args, [
      ['a', '1'],
      ['b', '2'],
    ])
    assert.equal(parsed.overLimit, true)
    assert.equal(parsed.error, 'More than 2 arguments.')
    assert.equal(urlencodedBody('a=1&b=2', limitsWith({ maxArguments: 2 })).error, undefined)
  })

  test('what a form sends arrives', () =>
    fc.assert(
      fc.property(fc.array(fc.tuple(anyText, anyText)), (form) => {
        const body = new URLSearchParams(form).toString()
        const { args, invalidEncoding } = urlencodedBody(body, defaultBodyLimits)
        assert.deepEqual(
          args,
          form.map((pair) => pair.map((text) => bytesOf(text.toWellFormed()))),
        )
        assert.equal(invalidEncoding, false)
      }),
    ))

  test('any bytes are read, within the limits and in time linear in their number', () => {
    const limits = limitsWith({ maxArguments: 5 })
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('a', '=', '&', '%', '%4', '%41', '+', '\0', '\xff')),
        (soup) => {
          assert.equal(overgrown(urlencodedBody(soup.join(''), limits), limits), undefined)
        },
      ),
    )
    for (const piece of ['%', '%4', '%41', '+', '=', '&', 'a=1&', '%zz%41'])
      assert.ok(
        millisecondsOf(() =>
          urlencodedBody(piece.repeat(20_000), limitsWith({ maxArguments: 1e6 })),
        ) < 3000,
        piece,
      )
  })
})
