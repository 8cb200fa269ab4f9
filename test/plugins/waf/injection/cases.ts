import { readFileSync } from 'node:fs'

type Case = {
  readonly name: string
  readonly kind: string
  readonly input: string
  readonly expected: string
}

const all: readonly Case[] = JSON.parse(
  readFileSync(new URL('../../../fixtures/libinjection/cases.json', import.meta.url), 'utf8'),
)

/** The cases of libinjection's own suite for one part of it (test/fixtures/libinjection/README.md). */
export const casesOf = (kind: string): readonly Case[] => all.filter((one) => one.kind === kind)
