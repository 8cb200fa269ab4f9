import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { nearest } from '#config/nearest'

const keys = ['routes', 'upstreams', 'upstream', 'maxBodyBytes', 'joinTokenFile', 'id', 'policy']

suite('a slip is understood', () => {
  for (const [written, meant] of [
    ['route', 'routes'],
    ['ruotes', 'routes'],
    ['rotues', 'routes'],
    ['upstraem', 'upstream'],
    ['max_body_bytes', 'maxBodyBytes'],
    ['maxBodySize', undefined],
    ['tokenFile', 'joinTokenFile'],
    ['Policy', 'policy'],
    ['polices', 'policy'],
    ['colour', undefined],
    ['', undefined],
    ['ix', undefined],
    ['x'.repeat(100_000), undefined],
  ] as const)
    test(written.slice(0, 20), () => assert.equal(nearest(written, keys), meant))
})
