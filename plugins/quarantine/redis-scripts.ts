// KEYS: the hash of entries, the stream of changes, the channel of news. The stream gives each change its id.

/** ARGV: id, entry, now, changes to keep, entries that there may be. */
export const addScript = `
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return 'there' end
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5]) then return 'full' end
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
