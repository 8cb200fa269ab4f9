import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

/** What others had to mend, and whoever takes tokens can have wrong: each has a test that bears its name. */
const advisories = `
  CVE-2015-2951 CVE-2015-9235 CVE-2016-10555 CVE-2016-5431 CVE-2018-0114 CVE-2019-20933 CVE-2019-7644
  CVE-2020-16250 CVE-2020-28042 CVE-2020-28637 CVE-2021-43572 CVE-2021-44531 CVE-2021-44532 CVE-2021-44533
  CVE-2022-21449 CVE-2022-23540 CVE-2022-24884 CVE-2022-29217 CVE-2022-36083 CVE-2022-39227 CVE-2023-48223
  CVE-2023-51774 CVE-2024-28176 CVE-2024-33663 CVE-2024-53861 CVE-2025-23419 CVE-2025-27144 CVE-2025-30144
  CVE-2025-30204 CVE-2025-59420 CVE-2026-107720 CVE-2026-107723 CVE-2026-115413 CVE-2026-22817 CVE-2026-22818
  CVE-2026-32597 CVE-2026-34950 CVE-2026-44351 CVE-2026-44699 CVE-2026-48522 CVE-2026-71861
  GHSA-2c7c-3mj9-8fqh GHSA-43wx-8qmj-9r9q GHSA-5739-39v2-5754 GHSA-6294-6rgp-fr7r GHSA-869p-cjfg-cm3x
  GHSA-g3jj-5cmm-3hxx GHSA-hm7r-c7qw-ghp6 GHSA-jc38-x7x8-2xc8 GHSA-rp9m-7r4c-75qg
`
  .trim()
  .split(/\s+/)

test('every advisory of the list is in the name of a test', () => {
  const folder = join(import.meta.dirname, '..')
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.test.ts') && !file.endsWith('advisories.test.ts'),
  )
  assert.ok(files.length > 200)
  const text = files.map((file) => readFileSync(join(folder, file), 'utf8')).join('\n')
  assert.ok(advisories.length >= 50)
  const missing = advisories.filter((id) => !text.includes(id))
  assert.deepEqual(missing, [])
})
