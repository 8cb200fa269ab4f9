import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const textOf = (file: string) => readFileSync(join(import.meta.dirname, '../..', file), 'utf8')

test('the explanation in the README has the steps of the way, in their order', () => {
  const steps = [
    ...textOf('gateway/ingress/pipeline.ts').matchAll(/^ {4}\.(?:guard|learn)\('([^']+)'/gm),
  ].map(([, name]) => name)
  const shown = [...textOf('README.md').matchAll(/^ +[✓✗·] (\S+(?: \S+)*?) {2,}/gm)].map(
    ([, name]) => name,
  )
  assert.ok(steps.length > 10, 'no steps found: nothing would have been compared')
  assert.deepEqual(shown, steps)
})
