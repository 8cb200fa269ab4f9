/**
 * Has a process collect its garbage every few seconds, so that its least heap in a while is what is live. Left to itself, V8
 * does so when it likes, in some minutes not at all. Given to Node by `--import`, by benchmarks alone.
 */
import { Session } from 'node:inspector'

const everyMs = 5000
const session = new Session()
session.connect()
setInterval(() => session.post('HeapProfiler.collectGarbage'), everyMs).unref()
