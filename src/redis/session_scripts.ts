/**
 * Defines the scripts of one session.
 *
 * @module
 */
import { script } from "./script.ts";

/**
 * Defines a session. KEYS are record, state, uris. The record has `rec` (JSON), `owner` (absent
 * while unclaimed), `born`, `used`, `init`, `level`, `bytes` (of the state), and for each node that holds the session
 * `b:<node>`, the time until which it does. A lapsed hold counts as a use at the time when it
 * lapsed.
 */
const SESSION = `
local record, state, uris = KEYS[1], KEYS[2], KEYS[3]
local function load(now)
  local flat, s = redis.call('HGETALL', record), {}
  if #flat == 0 then return nil end
  for i = 1, #flat, 2 do s[flat[i]] = flat[i + 1] end
  local used, held = tonumber(s.used) or 0, 0
  for name, value in pairs(s) do
    if name:sub(1, 2) == 'b:' then
      local till = tonumber(value) or 0
      if till > now then held = math.max(held, till) else used = math.max(used, till) end
    end
  end
  s.used, s.held = used, held
  return s
end
local function over(s, now, idle, absolute)
  if now - (tonumber(s.born) or 0) >= tonumber(absolute) then return 'expired' end
  if s.held == 0 and now - s.used >= tonumber(idle) then return 'idle' end
end
local function remove(why)
  local list = redis.call('SMEMBERS', uris)
  redis.call('DEL', record, state, uris)
  return {'ended', why, unpack(list)}
end
local function found(s, now, claimed)
  return {'found', s.rec or '', s.owner and '1' or '0', s.owner or '', s.init or '', s.level or '',
    int(now), claimed}
end
`;

/** Creates a record unless there is one. ARGV: time, ttl, fields and values. */
export const CREATE = script(
  SESSION,
  `
if redis.call('EXISTS', record) == 1 then return 0 end
local now = int(time(ARGV[1]))
redis.call('HSET', record, 'born', now, 'used', now, unpack(ARGV, 3))
redis.call('PEXPIRE', record, ARGV[2])
return 1`,
);

/**
 * Uses a session for an owner: an unclaimed session becomes the first user's, an expired one is
 * deleted, and another owner's stays unchanged. ARGV: time, owner, idle, absolute, `1` when the
 * caller holds it.
 */
export const USE = script(
  SESSION,
  `
local now = time(ARGV[1])
local s = load(now)
if not s then return {'unknown'} end
if s.owner and s.owner ~= ARGV[2] then return {'foreign'} end
if ARGV[5] == '1' then s.held = now end
local why = over(s, now, ARGV[3], ARGV[4])
if why then return remove(why) end
local claimed = s.owner and '0' or '1'
s.owner = ARGV[2]
redis.call('HSET', record, 'owner', s.owner, 'used', int(now))
return found(s, now, claimed)`,
);

/**
 * Reads a session without changing it. ARGV: time, idle, absolute, `1` when the caller holds it.
 */
export const PEEK = script(
  SESSION,
  `
local now = time(ARGV[1])
local s = load(now)
if not s then return {'unknown'} end
if ARGV[4] == '1' then s.held = now end
if over(s, now, ARGV[2], ARGV[3]) then return {'unknown'} end
return found(s, now, '0')`,
);

/**
 * Changes the fields of a record that exists. ARGV: fields and values; an empty value deletes the
 * field.
 */
export const UPDATE = script(
  SESSION,
  `
if redis.call('EXISTS', record) == 0 then return 0 end
for i = 1, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', record, ARGV[i])
  else redis.call('HSET', record, ARGV[i], ARGV[i + 1]) end
end
return 1`,
);

/**
 * Records a node's hold until a time, or its end, which counts as a use. ARGV: time, node,
 * milliseconds or an empty string.
 */
export const MARK = script(
  SESSION,
  `
if redis.call('EXISTS', record) == 0 then return 0 end
local now = time(ARGV[1])
if ARGV[3] ~= '' then return redis.call('HSET', record, 'b:' .. ARGV[2], int(now + ARGV[3])) end
redis.call('HDEL', record, 'b:' .. ARGV[2])
redis.call('HSET', record, 'used', int(now))
return 1`,
);

/**
 * Ends a session once: only one caller gets 'ended' as the answer. ARGV: time, idle, absolute,
 * mode: `end` always ends it, `reap` only when it has expired, and a number only when it has
 * expired, or was not used since that time and is not held.
 */
export const END = script(
  SESSION,
  `
local now = time(ARGV[1])
local s = load(now)
if not s then return {'gone'} end
if ARGV[4] == 'end' then return remove('') end
local why = over(s, now, ARGV[2], ARGV[3])
if why then return remove(why) end
if ARGV[4] ~= 'reap' and s.held == 0 and s.used <= tonumber(ARGV[4]) then return remove('evicted') end
return {'kept', int(s.used), int(s.held)}`,
);

/**
 * Stores a state value for a session that exists, at most as long as the session. The record's
 * `bytes` count the state's keys and values. Returns -1 if they would be too many. ARGV: key, value,
 * maximum of the bytes.
 */
export const SET_STATE = script(
  SESSION,
  `
local ttl = redis.call('PTTL', record)
if ttl <= 0 then return 0 end
local old = redis.call('HGET', state, ARGV[1])
local growth = old and #ARGV[2] - #old or #ARGV[1] + #ARGV[2]
local bytes = tonumber(redis.call('HGET', record, 'bytes') or 0) + growth
if growth > 0 and bytes > tonumber(ARGV[3]) then return -1 end
redis.call('HSET', record, 'bytes', int(bytes))
redis.call('HSET', state, ARGV[1], ARGV[2])
redis.call('PEXPIRE', state, ttl)
return 1`,
);

/** Deletes a state value. ARGV: key. */
export const DELETE_STATE = script(
  SESSION,
  `
local old = redis.call('HGET', state, ARGV[1])
if not old then return 0 end
redis.call('HDEL', state, ARGV[1])
if redis.call('EXISTS', record) == 1 then
  redis.call('HINCRBY', record, 'bytes', -(#ARGV[1] + #old))
end
return 1`,
);

/** Adds a subscription, up to a cap, to a session that exists. ARGV: uri, cap. */
export const SUBSCRIBE = script(
  SESSION,
  `
local ttl = redis.call('PTTL', record)
if ttl <= 0 then return 'gone' end
if redis.call('SISMEMBER', uris, ARGV[1]) == 1 then return 'subscribed' end
if redis.call('SCARD', uris) >= tonumber(ARGV[2]) then return 'full' end
redis.call('SADD', uris, ARGV[1])
redis.call('PEXPIRE', uris, ttl)
return 'subscribed'`,
);

/**
 * Adds a session to a resource's subscribers. KEYS is the sorted set of ids by the latest possible
 * end of their sessions, so that entries that are not removed expire. ARGV: time, id, ttl.
 */
export const ADD_SUBSCRIBER = script(`
local now = time(ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', int(now))
redis.call('ZADD', KEYS[1], int(now + ARGV[3]), ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1`);
