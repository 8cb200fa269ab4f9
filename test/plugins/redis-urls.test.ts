import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { systemRandomBytes } from '#contract/clock'
import { secret } from '#contract/secret'
import { redisClient, type RedisClientOptions } from '#plugins/redis-client'
import { readRedisUrls } from '#plugins/redis-urls'

suite('URLs of Redis', () => {
  test('one a line name several nodes', () => {
    const places = readRedisUrls(
      secret('redis://gate:p%40ss@10.0.0.1:7000/2\n\n redis://gate:p%40ss@[fd00::1]/2\n'),
      6379,
      'limits',
    )
    assert.deepEqual(places, {
      nodes: [
        { host: '10.0.0.1', port: 7000 },
        { host: 'fd00::1', port: 6379 },
      ],
      isTls: false,
      username: 'gate',
      password: 'p@ss',
      db: 2,
    })
  })

  for (const other of ['rediss://:hunter2@b', 'redis://:hunter3@b', 'redis://:hunter2@b/1'])
    test(`that differ in more than the node are refused: ${other}`, () => {
      assert.throws(() => readRedisUrls(secret(`redis://:hunter2@a\n${other}`), 1, 'limits'), {
        name: 'TypeError',
        message: /^limits(?:\.url)?: (?!.*hunter)/,
      })
    })
})

suite('settings that do not fit together', () => {
  const one = 'redis://:hunter2@127.0.0.1:1'
  for (const [what, url, more] of [
    ['several URLs of one server', `${one}\n${one}`, { topology: 'single' }],
    ['a name of a master without sentinels', one, { topology: 'single', masterName: 'm' }],
    ['sentinels without one', one, { topology: 'sentinel' }],
    [
      'a password of sentinels for a cluster',
      one,
      { topology: 'cluster', sentinelPassword: secret('hunter2') },
    ],
    ['a database of a cluster', `${one}/3`, { topology: 'cluster' }],
  ] as const)
    test(`${what} are refused, and no password is told`, () => {
      const options: RedisClientOptions = { url: secret(url), timeoutMs: 50, ...more }
      const parts = { connectionName: 'test', setting: 'limits', randomBytes: systemRandomBytes }
      assert.throws(() => redisClient(options, parts), {
        name: 'TypeError',
        message: /^limits(?:\.url)?: (?!.*hunter)/,
      })
    })
})
