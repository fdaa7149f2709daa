/**
 * Defines the scripts of one session.
 *
 * @module
 */
import { script } from "./script.ts";

/**
 * Defines a session. KEYS are record, state, uris. The record has `rec` (sealed), `owner` (a digest,
 * absent while unclaimed), `born`, `used`, `init`, `level`, `bytes` (of the state, before it was sealed), and for each node that holds the session
 * `b:<node>`, the time until which it does. A lapsed hold counts as a use at the time when it
 * lapsed. Until `busy` it counts as held, too: a request has begun whose node may not have written its hold.
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
  local busy = tonumber(s.busy) or 0
  if busy > now then s.held = math.max(held, busy) end
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
local function shown(status, s, now, claimed)
  return {status, s.rec or '', s.init or '', s.level or '', int(now), claimed}
end
local function size(text) return tonumber(text:match('^%d+')) or 0 end
`;

/**
 * Creates a record unless there is another one: a client whose connection broke may send this twice. ARGV:
 * time, ttl, fields and values, `rec` first.
 */
export const CREATE = script(
  SESSION,
  `
if redis.call('EXISTS', record) == 1 then
  return redis.call('HGET', record, 'rec') == ARGV[4] and 1 or 0
end
local now = int(time(ARGV[1]))
redis.call('HSET', record, 'born', now, 'used', now, unpack(ARGV, 3))
redis.call('PEXPIRE', record, ARGV[2])
return 1`,
);

/**
 * Uses a session for an owner: an expired one is deleted, and another owner's stays unchanged. An
 * unclaimed one becomes the caller's if its record is the one that the caller has seen, and is
 * returned otherwise. ARGV: time, digest of the owner, idle, absolute, `1` when the caller holds it,
 * for how long it counts as held, or an empty string, the record that the caller has seen and the one to
 * replace it, or two empty strings.
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
local fields = {'used', int(now)}
if ARGV[6] ~= '' then fields = {'used', int(now), 'busy', int(now + ARGV[6])} end
if s.owner then
  redis.call('HSET', record, unpack(fields))
  return shown('found', s, now, '0')
end
if ARGV[7] == '' or s.rec ~= ARGV[7] then return shown('unclaimed', s, now, '0') end
s.rec = ARGV[8]
redis.call('HSET', record, 'rec', s.rec, 'owner', ARGV[2], unpack(fields))
return shown('found', s, now, '1')`,
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
return shown('found', s, now, '0')`,
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
 * `bytes` count the state's keys and values. Returns -1 if they would be too many. ARGV: digest
 * of the key, the bytes of key and value with the sealed value, maximum of the bytes.
 */
export const SET_STATE = script(
  SESSION,
  `
local ttl = redis.call('PTTL', record)
if ttl <= 0 then return 0 end
local old = redis.call('HGET', state, ARGV[1])
local growth = size(ARGV[2]) - size(old or '')
local bytes = tonumber(redis.call('HGET', record, 'bytes') or 0) + growth
if growth > 0 and bytes > tonumber(ARGV[3]) then return -1 end
redis.call('HSET', record, 'bytes', int(bytes))
redis.call('HSET', state, ARGV[1], ARGV[2])
redis.call('PEXPIRE', state, ttl)
return 1`,
);

/** Deletes a state value. ARGV: digest of the key. */
export const DELETE_STATE = script(
  SESSION,
  `
local old = redis.call('HGET', state, ARGV[1])
if not old then return 0 end
redis.call('HDEL', state, ARGV[1])
if redis.call('EXISTS', record) == 1 then
  redis.call('HINCRBY', record, 'bytes', -size(old))
end
return 1`,
);

/** Adds a subscription, up to a cap, to a session that exists. ARGV: digest of the URI, cap. */
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
 * Defines the subscribers of a resource. KEYS are the sorted set of their names by the latest
 * possible end of their sessions, so that entries that are not removed expire, and the hash of
 * their sealed ids by name.
 */
const SUBSCRIBERS = `
local ends, ids = KEYS[1], KEYS[2]
local function remove(name)
  redis.call('ZREM', ends, name)
  redis.call('HDEL', ids, name)
end
`;

/** Adds a session to a resource's subscribers. ARGV: time, name, sealed id, ttl. */
export const ADD_SUBSCRIBER = script(
  SUBSCRIBERS,
  `
local now = time(ARGV[1])
for _, name in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', int(now))) do remove(name) end
redis.call('ZADD', ends, int(now + ARGV[4]), ARGV[2])
redis.call('HSET', ids, ARGV[2], ARGV[3])
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[4]) end
return 1`,
);

/** Removes a session from a resource's subscribers. ARGV: name. */
export const REMOVE_SUBSCRIBER = script(SUBSCRIBERS, "remove(ARGV[1]) return 1");

/** A resource's subscribers: names, each with its sealed id. */
export const LIST_SUBSCRIBERS = script(SUBSCRIBERS, "return redis.call('HGETALL', ids)");
