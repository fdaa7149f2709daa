/**
 * Defines the scripts of the index of all sessions.
 *
 * @module
 */
import { script } from "./script.ts";

/** The time after which a node's hold on a session lapses unless renewed, in milliseconds. */
export const HOLD_MS = 30_000;

/**
 * Defines the index of all sessions, in which an owner is a share: one user with all its clients.
 * An id is the name of a session, which doesn't reveal it. KEYS are owner (hash id → digest of its
 * owner, or '-'), age (ids by start), free (ids by last use), mine (the same for each owner: digest, use and id in one
 * member), held (ids by the end of their hold), reserved (ids by the end of their reservation),
 * count (hash owner → sessions and reservations), ids (hash id → the session's id, sealed). Every id is in owner, and in exactly one of free,
 * held and reserved.
 *
 * The index decides which sessions are admitted, and proposes sessions to evict; whether a session
 * exists, is held and was used is decided in the session's own slot. The index may lag: when it has
 * missed a use it proposes a session too early, which is then corrected instead of evicted.
 */
const INDEX = `
local owner, age, free, mine, held, reserved, count, ids = unpack(KEYS)
local function place(o, used, id) return o .. string.format('%016.0f', used) .. id end
local function unfree(id, o)
  local used = redis.call('ZSCORE', free, id)
  if not used then return end
  redis.call('ZREM', free, id)
  redis.call('ZREM', mine, place(o, used, id))
end
local function setfree(id, o, used)
  unfree(id, o)
  redis.call('ZREM', held, id)
  redis.call('ZADD', free, int(used), id)
  if o ~= '-' then redis.call('ZADD', mine, 0, place(o, used, id)) end
end
local function sethold(id, o, till)
  unfree(id, o)
  redis.call('ZADD', held, int(till), id)
end
local function add(o, by)
  if o == '-' then return end
  if redis.call('HINCRBY', count, o, by) <= 0 then redis.call('HDEL', count, o) end
end
local function forget(id)
  local o = redis.call('HGET', owner, id)
  if not o then return end
  unfree(id, o)
  redis.call('ZREM', held, id)
  redis.call('ZREM', reserved, id)
  redis.call('ZREM', age, id)
  redis.call('HDEL', owner, id)
  redis.call('HDEL', ids, id)
  add(o, -1)
end
local function sealed(id) return redis.call('HGET', ids, id) or '' end
local function setowner(id, o, new)
  if o == new then return end
  local used = redis.call('ZSCORE', free, id)
  unfree(id, o)
  redis.call('HSET', owner, id, new)
  add(o, -1)
  add(new, 1)
  if used then setfree(id, new, tonumber(used)) end
end
local function lapse(now)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', reserved, '-inf', int(now), 'LIMIT', 0, 100)) do
    forget(id)
  end
  local flat = redis.call('ZRANGEBYSCORE', held, '-inf', int(now), 'WITHSCORES', 'LIMIT', 0, 100)
  for i = 1, #flat, 2 do
    setfree(flat[i], redis.call('HGET', owner, flat[i]) or '-', tonumber(flat[i + 1]))
  end
end
local function done(ttl, ...)
  for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ttl) end
  return {redis.call('ZCARD', age), ...}
end
`;

/**
 * Counts and reserves in one step, so that no cap is exceeded, or proposes a session to evict
 * first. ARGV: time, ttl of keys, id, owner, cap, owner's cap, ttl of the reservation,
 * sealed id.
 */
export const RESERVE = script(
  INDEX,
  `
local now, id, o = time(ARGV[1]), ARGV[3], ARGV[4]
lapse(now)
if redis.call('HEXISTS', owner, id) == 1 then return done(ARGV[2], 'refused') end
local own = o ~= '-' and tonumber(redis.call('HGET', count, o) or 0) or 0
local full = own >= tonumber(ARGV[6])
if not full and redis.call('HLEN', owner) < tonumber(ARGV[5]) then
  redis.call('HSET', owner, id, o)
  redis.call('HSET', ids, id, ARGV[8])
  redis.call('ZADD', reserved, int(now + ARGV[7]), id)
  add(o, 1)
  return done(ARGV[2], 'admitted')
end
if o ~= '-' then
  local first = redis.call('ZRANGEBYLEX', mine, '[' .. o, '(' .. o .. 'g', 'LIMIT', 0, 1)[1]
  if first then
    local found = first:sub(49)
    return done(ARGV[2], 'proposed', found, first:sub(33, 48), sealed(found))
  end
end
local first = not full and redis.call('ZRANGE', free, 0, 0, 'WITHSCORES') or {}
if first[1] then return done(ARGV[2], 'proposed', first[1], first[2], sealed(first[1])) end
return done(ARGV[2], 'refused')`,
);

/**
 * Turns a reservation into a session, which is not proposed at first because its record is written
 * afterwards. ARGV: time, ttl of keys, id, owner, time without proposals.
 */
export const ADMIT = script(
  INDEX,
  `
local now, id = time(ARGV[1]), ARGV[3]
lapse(now)
if redis.call('ZREM', reserved, id) == 0 then return done(ARGV[2], 'gone') end
setowner(id, redis.call('HGET', owner, id), ARGV[4])
redis.call('ZADD', age, int(now), id)
sethold(id, ARGV[4], now + ARGV[5])
return done(ARGV[2], 'admitted')`,
);

/** Releases a reservation, and changes nothing else. ARGV: time, ttl of keys, id. */
export const RELEASE = script(
  INDEX,
  `
if redis.call('ZSCORE', reserved, ARGV[3]) then forget(ARGV[3]) end
return done(ARGV[2])`,
);

/**
 * Records changes of sessions; ignores unknown ones. ARGV: time, ttl of keys, and in groups of four
 * an id, `free` (since), `held` (until) or `gone`, the time or an empty string, the owner or an
 * empty string.
 */
export const NOTE = script(
  INDEX,
  `
local now = time(ARGV[1])
for i = 3, #ARGV, 4 do
  local id, what, at, new = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3]
  local o = redis.call('HGET', owner, id)
  if o and not redis.call('ZSCORE', reserved, id) then
    if new ~= '' then setowner(id, o, new) o = new end
    if what == 'free' then setfree(id, o, at or now)
    elseif what == 'held' then sethold(id, o, at or now + ${HOLD_MS})
    else forget(id) end
  end
end
return done(ARGV[2])`,
);

/**
 * Proposes sessions that may have expired, each with its sealed id. ARGV: time, ttl of keys, idle, absolute,
 * limit.
 */
export const DUE = script(
  INDEX,
  `
local now, list, known = time(ARGV[1]), {}, {}
lapse(now)
local function look(set, ms)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', set, '-inf', int(now - ms), 'LIMIT', 0, ARGV[5])) do
    if not known[id] then
      known[id] = true
      list[#list + 1] = id
      list[#list + 1] = sealed(id)
    end
  end
end
look(age, ARGV[4])
look(free, ARGV[3])
return done(ARGV[2], unpack(list))`,
);

/** All sessions, each with its sealed id. */
export const IDS = script(
  INDEX,
  `
local list = {}
for _, id in ipairs(redis.call('ZRANGE', age, 0, -1)) do
  list[#list + 1] = id
  list[#list + 1] = sealed(id)
end
return list`,
);

/**
 * Lists all sessions, each with its sealed id and the time of its last use; an empty one while it is
 * held.
 */
export const USES = script(
  INDEX,
  `
local list = {}
local function add(id, used)
  list[#list + 1] = id
  list[#list + 1] = sealed(id)
  list[#list + 1] = used
end
local flat = redis.call('ZRANGE', free, 0, -1, 'WITHSCORES')
for i = 1, #flat, 2 do add(flat[i], flat[i + 1]) end
for _, id in ipairs(redis.call('ZRANGE', held, 0, -1)) do add(id, '') end
return list`,
);
