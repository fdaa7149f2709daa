/**
 * What happens to one session in one step.
 *
 * @module
 */
import { script } from "./script.ts";

/**
 * Sessions: KEYS are record, state, uris. The record has `rec` (JSON), `owner` (absent while unclaimed),
 * `born`, `used`, `init`, `level`, and for each node that holds the session `b:<node>`, the time until
 * which it does. A hold that has lapsed counts as a use at that time.
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

/** A record comes into being once: what is there already stays. ARGV: time, ttl, fields and values. */
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
 * Only the owner's use changes anything, an unclaimed session becomes the first user's, and an expired one
 * is gone with everything of it. ARGV: time, owner, idle, absolute, `1` when it is held for certain.
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

/** Looking changes nothing. ARGV: time, idle, absolute, `1` when it is held for certain. */
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

/** Changes what is there and never makes a record. ARGV: fields and values; an empty value forgets. */
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

/** A node's hold lasts until its time or until it ends, which is a use. ARGV: time, node, ms or nothing. */
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
 * A session ends once, by whoever gets 'ended' as the answer. ARGV: time, idle, absolute, mode: \`end\` ends
 * it in any case, \`reap\` when it has expired, and a number when it has expired, or was not used since then
 * and nobody holds it.
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

/** State is kept for a session that is there, and as long as it at most. ARGV: key, value. */
export const SET_STATE = script(
  SESSION,
  `
local ttl = redis.call('PTTL', record)
if ttl <= 0 then return 0 end
redis.call('HSET', state, ARGV[1], ARGV[2])
redis.call('PEXPIRE', state, ttl)
return 1`,
);

/** A session has at most so many subscriptions, and none once it is gone. ARGV: uri, cap. */
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
 * The index of a resource's subscribers: KEYS is the sorted set of ids by the time when their sessions are
 * over at the latest, so that nothing stays for ever that nobody took out. ARGV: time, id, ttl.
 */
export const ADD_SUBSCRIBER = script(`
local now = time(ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', int(now))
redis.call('ZADD', KEYS[1], int(now + ARGV[3]), ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1`);
