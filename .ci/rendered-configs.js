// Reads rendered manifests from stdin and writes the files of each ConfigMap into a folder of its name, without the hash.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'

const [out = ''] = process.argv.slice(2)
for (const document of parseAllDocuments(readFileSync(0, 'utf8'))) {
  const { kind, metadata, data = {} } = document.toJS()
  if (kind !== 'ConfigMap') continue
  const folder = join(out, metadata.name.replace(/-[a-z0-9]{10}$/, ''))
  mkdirSync(folder, { recursive: true })
  for (const [name, text] of Object.entries(data)) writeFileSync(join(folder, name), text)
}
