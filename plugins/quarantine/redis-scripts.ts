// KEYS: the hash of entries, the stream of changes, the channel of news, when this list was born. The stream gives each
// change its id. A store that has lost everything is born anew, and so is known for one that has.

/** ARGV: id, entry, now, changes to keep, entries that there may be, a name for a list that is born now. */
export const addScript = `
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return 'there' end
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5]) then return 'full' end
redis.call('SET', KEYS[4], ARGV[6], 'NX')
local id = redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', 'add', ARGV[2], 'at', ARGV[3])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PUBLISH', KEYS[3], id)
return 'added'
`

/** ARGV: id, now, changes to keep. */
export const liftScript = `
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 'absent' end
local id = redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'lift', ARGV[1], 'at', ARGV[2])
redis.call('PUBLISH', KEYS[3], id)
return 'lifted'
`

/** Name of the list, ids of its oldest change and of its last; each empty if it is not there. */
export const extentScript = `
local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
return { redis.call('GET', KEYS[4]) or '', oldest and oldest[1] or '', last and last[1] or '' }
`
