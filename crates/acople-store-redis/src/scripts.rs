//! The scripts: each is atomic in the server, and each may be run twice.
//!
//! Generations are texts to them, since a number of Lua has no room for one.

use redis::Script;

/// The scripts of a store.
pub(crate) struct Scripts {
    pub(crate) save_state: Script,
    pub(crate) remove_state: Script,
    pub(crate) save_sealed: Script,
    pub(crate) remove_sealed: Script,
    pub(crate) load_sealed: Script,
    pub(crate) lease: Script,
    pub(crate) release: Script,
    pub(crate) quarantine: Script,
    pub(crate) quarantined: Script,
    pub(crate) forget_quarantined: Script,
    pub(crate) charge_key: Script,
    pub(crate) replace_field: Script,
}

/// KEYS: state, states of its sync, all syncs. ARGV: expected generation, new one, state, member, sync's name.
///
/// The expected generation of a state that is not there is the one at which it was removed, 0 when it never was there,
/// with a minus before it. Gives an empty text, or the generation that is in the way.
const SAVE_STATE: &str = r"
local g, live = redis.call('HGET', KEYS[1], 'g') or '0', redis.call('HEXISTS', KEYS[1], 's') == 1
if live and g == ARGV[2] then return '' end
if (live and g or '-' .. g) ~= ARGV[1] then return live and g or '0' end
redis.call('HSET', KEYS[1], 'g', ARGV[2], 's', ARGV[3])
redis.call('SADD', KEYS[2], ARGV[4])
redis.call('SADD', KEYS[3], ARGV[5])
return ''
";

/// KEYS as above. ARGV: member, sync's name. The generation stays, and fences late writers.
const REMOVE_STATE: &str = r"
redis.call('HDEL', KEYS[1], 's')
redis.call('SREM', KEYS[2], ARGV[1])
if redis.call('EXISTS', KEYS[2]) == 0 then redis.call('SREM', KEYS[3], ARGV[2]) end
return 1
";

/// KEYS: generation, sealed text, members of all texts, members of its connection. ARGV: expected generation as above,
/// new one, sealed text, member, member of its connection.
const SAVE_SEALED: &str = r"
local g, live = redis.call('GET', KEYS[1]) or '-0', true
if string.sub(g, 1, 1) == '-' then live = false end
if live and g == ARGV[2] then return '' end
if g ~= ARGV[1] then return live and g or '0' end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('HSET', KEYS[2], 'g', ARGV[2], 't', ARGV[3])
redis.call('SADD', KEYS[3], ARGV[4])
redis.call('SADD', KEYS[4], ARGV[5])
return ''
";

/// KEYS as above. ARGV: member, member of its connection.
const REMOVE_SEALED: &str = r"
local g = redis.call('GET', KEYS[1])
if g and string.sub(g, 1, 1) ~= '-' then redis.call('SET', KEYS[1], '-' .. g) end
redis.call('DEL', KEYS[2])
redis.call('SREM', KEYS[3], ARGV[1])
redis.call('SREM', KEYS[4], ARGV[2])
return 1
";

/// KEYS: generation, sealed text. Gives the generation, and the text with its own.
const LOAD_SEALED: &str = r"
local t = redis.call('HMGET', KEYS[2], 'g', 't')
return {redis.call('GET', KEYS[1]) or '-0', t[1] or '', t[2] or ''}
";

/// KEYS: lease. ARGV: holder, milliseconds. By the server's clock alone. Gives -1, or the milliseconds that are left.
const LEASE: &str = r"
local holder = redis.call('GET', KEYS[1])
if not holder or holder == ARGV[1] then
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
    return -1
end
return math.max(redis.call('PTTL', KEYS[1]), 0)
";

/// KEYS: lease. ARGV: holder.
const RELEASE: &str = r"
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
";

/// KEYS: records, syncs of records, ids. ARGV: prefix of the ids of a sync, then id, sync, payload of each record.
const QUARANTINE: &str = r"
for i = 2, #ARGV, 3 do
    local id, sync = ARGV[i], ARGV[i + 1]
    local before = redis.call('HGET', KEYS[2], id)
    if before and before ~= sync then redis.call('ZREM', ARGV[1] .. before, id) end
    redis.call('HSET', KEYS[1], id, ARGV[i + 2])
    redis.call('HSET', KEYS[2], id, sync)
    redis.call('ZADD', KEYS[3], 0, id)
    redis.call('ZADD', ARGV[1] .. sync, 0, id)
end
return 1
";

/// KEYS: ids, records. ARGV: where to begin (`-` or `(` and an id), how many. Gives ids and payloads by turns.
const QUARANTINED: &str = r"
local out = {}
for _, id in ipairs(redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], '+', 'LIMIT', 0, ARGV[2])) do
    out[#out + 1] = id
    out[#out + 1] = redis.call('HGET', KEYS[2], id) or ''
end
return out
";

/// KEYS: records, syncs of records, ids. ARGV: prefix of the ids of a sync, then ids.
const FORGET_QUARANTINED: &str = r"
for i = 2, #ARGV do
    local sync = redis.call('HGET', KEYS[2], ARGV[i])
    if sync then redis.call('ZREM', ARGV[1] .. sync, ARGV[i]) end
    redis.call('HDEL', KEYS[1], ARGV[i])
    redis.call('HDEL', KEYS[2], ARGV[i])
    redis.call('ZREM', KEYS[3], ARGV[i])
end
return 1
";

/// KEYS: uses of keys, check rows of keys. ARGV: key's id, uses, limit, check row of a key that is not known. Gives
/// whether they were left, and the check row.
const CHARGE_KEY: &str = r"
redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[4])
local used = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '1') + tonumber(ARGV[2])
local left = used <= tonumber(ARGV[3])
if left then redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', used)) end
return {left and 1 or 0, redis.call('HGET', KEYS[2], ARGV[1])}
";

/// KEYS: a hash. ARGV: field, value that has to be there, new value.
const REPLACE_FIELD: &str = r"
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
";

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            save_state: Script::new(SAVE_STATE),
            remove_state: Script::new(REMOVE_STATE),
            save_sealed: Script::new(SAVE_SEALED),
            remove_sealed: Script::new(REMOVE_SEALED),
            load_sealed: Script::new(LOAD_SEALED),
            lease: Script::new(LEASE),
            release: Script::new(RELEASE),
            quarantine: Script::new(QUARANTINE),
            quarantined: Script::new(QUARANTINED),
            forget_quarantined: Script::new(FORGET_QUARANTINED),
            charge_key: Script::new(CHARGE_KEY),
            replace_field: Script::new(REPLACE_FIELD),
        }
    }
}
