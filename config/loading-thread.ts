/** What runs in the thread of `load-beside.ts`: loads one configuration, and hands it over in pieces. */
import { enableCompileCache } from 'node:module'
import { setPriority } from 'node:os'
import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import { piecesOf } from '#contract/portable'
import type { ConfigKind } from './rules/rule.ts'

export type LoadingJob = {
  readonly kind: ConfigKind
  readonly file: string
  readonly pieces: MessagePort
}

/** A thread has a priority of its own on Linux; elsewhere it would be that of the whole process. */
const nice = 5

const { kind, file, pieces } = workerData as LoadingJob
if (process.platform === 'linux') setPriority(0, nice)
enableCompileCache() // before what is large is read
const { loadConfig } = await import('./load.ts')
const loaded = await loadConfig(kind, file)
for (const piece of piecesOf(loaded)) pieces.postMessage(piece, [])
parentPort?.postMessage('loaded', [])
