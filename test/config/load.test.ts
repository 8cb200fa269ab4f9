import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { suite, test } from 'node:test'
import { loadConfig } from '#config/load'
import { exchange, gateway, workspace } from './workspace.ts'

test('what is loaded is whole: defaults filled in, paths absolute, frozen to its leaves', async (t) => {
  const { at } = workspace(t, { 'gateway.yaml': gateway() })
  const loaded = await loadConfig('gateway', at('gateway.yaml'), {})
  assert.ok(loaded.ok, JSON.stringify(loaded))
  const { config } = loaded
  assert.equal(config.listeners.ingress.port, 8443)
  assert.equal(config.listeners.ingress.limits.maxHeaderBytes, 16_384)
  assert.equal(config.listeners.admin.host, '127.0.0.1')
  assert.deepEqual(config.issuers['main']?.algorithms, ['ES256', 'RS256'])
  assert.equal(config.routes[0]?.identity.token, 'jwt-svid')
  assert.equal(config.audit.file, 'stdout', 'a word is not a file')
  assert.equal(
    config.identity.source === 'exchange' ? config.identity.joinTokenFile : '',
    at('join'),
    'a file in one of several kinds is found too',
  )
  let frozen = 0
  const everything = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    assert.ok(Object.isFrozen(value))
    frozen++
    Object.values(value).forEach(everything)
  }
  everything(config)
  assert.ok(frozen > 20)
})

test('defaults are not shared between two configurations', async (t) => {
  const { at } = workspace(t, { 'gateway.yaml': gateway() })
  const one = await loadConfig('gateway', at('gateway.yaml'), {})
  const other = await loadConfig('gateway', at('gateway.yaml'), {})
  assert.ok(one.ok && other.ok)
  assert.deepEqual(one.config, other.config)
  assert.notEqual(one.config.caches, other.config.caches)
})

test('a secret comes from its file, and is not printed', async (t) => {
  const { at } = workspace(t, {
    'gateway.yaml': gateway('limits: { store: { redis: { url: { file: redis-url } } } }\n'),
    'redis-url': 'redis://:hunter2@127.0.0.1\n',
  })
  const loaded = await loadConfig('gateway', at('gateway.yaml'), {})
  assert.ok(loaded.ok, JSON.stringify(loaded))
  const { redis } = loaded.config.limits.store
  assert.equal(redis?.url.reveal(), 'redis://:hunter2@127.0.0.1')
  assert.ok(!inspect(loaded, { depth: 9 }).includes('hunter2'))
  assert.ok(!JSON.stringify(loaded).includes('hunter2'))
  assert.ok(loaded.files.includes(at('redis-url')))
})

test('a secret comes from a variable, and one that is not there is a fault', async (t) => {
  const { at } = workspace(t, {
    'gateway.yaml': gateway('limits: { store: { redis: { url: { env: REDIS_URL } } } }\n'),
  })
  const loaded = await loadConfig('gateway', at('gateway.yaml'), {
    REDIS_URL: 'redis://:hunter2@r',
  })
  assert.ok(loaded.ok, JSON.stringify(loaded))
  assert.equal(loaded.config.limits.store.redis?.url.reveal(), 'redis://:hunter2@r')
  assert.ok(!JSON.stringify(loaded).includes('hunter2'))
  for (const environment of [{}, { REDIS_URL: '' }]) {
    const without = await loadConfig('gateway', at('gateway.yaml'), environment)
    assert.match(JSON.stringify(without), /environment variable `REDIS_URL` is (not set|empty)/)
  }
})

suite('a secret that is none', () => {
  for (const [name, text, said] of [
    ['is empty', '\n', /this file is empty/],
    ['is too large', 'x'.repeat(70_000), /too large for a secret/],
  ] as const)
    test(name, async (t) => {
      const { at } = workspace(t, {
        'gateway.yaml': gateway('limits: { store: { redis: { url: { file: redis-url } } } }\n'),
        'redis-url': text,
      })
      const loaded = await loadConfig('gateway', at('gateway.yaml'), {})
      assert.ok(!loaded.ok)
      assert.equal(loaded.faults.length, 1)
      assert.match(loaded.faults[0]?.message ?? '', said)
      assert.equal(loaded.faults[0]?.path, 'limits.store.redis.url.file')
    })
})

test('the revision changes with any setting, and only then', async (t) => {
  const { at } = workspace(t, {
    'one.yaml': gateway(),
    'same.yaml': gateway().replace('version: 1\n', '# a comment\nversion: 1\n'),
    'other.yaml': gateway('drainSeconds: 21\n'),
  })
  const revisionOf = async (name: string) => {
    const loaded = await loadConfig('gateway', at(name), {})
    assert.ok(loaded.ok)
    return loaded.revision
  }
  assert.match(await revisionOf('one.yaml'), /^[0-9a-f]{12}$/)
  assert.equal(await revisionOf('one.yaml'), await revisionOf('same.yaml'))
  assert.notEqual(await revisionOf('one.yaml'), await revisionOf('other.yaml'))
})

test('the configuration of the other process is one fault, not fifty', async (t) => {
  const { at } = workspace(t, { 'exchange.yaml': exchange(), 'neither.yaml': 'version: 1\n' })
  const messages = async (kind: 'gateway' | 'exchange', name: string) => {
    const loaded = await loadConfig(kind, at(name), {})
    return loaded.ok ? [] : loaded.faults.map(({ message }) => message)
  }
  assert.deepEqual(await messages('gateway', 'exchange.yaml'), [
    'this is the configuration of an exchange',
  ])
  assert.deepEqual(await messages('exchange', 'exchange.yaml'), [])
  assert.ok((await messages('gateway', 'neither.yaml')).includes('`routes` is missing'))
})

test('the environment is that of the process unless another is given', async (t) => {
  const { at } = workspace(t, {
    'gateway.yaml': gateway('drainSeconds: ${SALLYPORT_TEST_DRAIN}\n'),
  })
  process.env['SALLYPORT_TEST_DRAIN'] = '33'
  t.after(() => delete process.env['SALLYPORT_TEST_DRAIN'])
  const loaded = await loadConfig('gateway', at('gateway.yaml'))
  assert.ok(loaded.ok)
  assert.equal(loaded.config.drainSeconds, 33)
  assert.equal((await loadConfig('gateway', at('gateway.yaml'), {})).ok, false)
})
