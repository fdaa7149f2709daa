/**
 * What happens between nodes in one step.
 *
 * @module
 */
import { script } from "./scripts.ts";

/**
 * A lease: KEYS is a hash of \`token\`, \`holder\` and \`until\`. The token only rises: it is never below the
 * time, so that it rises even past the end of the key that kept it.
 */
const LEASE = `
local key, now = KEYS[1], time(ARGV[1])
local lease = redis.call('HMGET', key, 'token', 'holder', 'until')
local token, holder = tonumber(lease[1] or 0), lease[2]
local held = holder and tonumber(lease[3] or 0) > now
local function hold(token, holder, ttl)
  redis.call('HSET', key, 'token', int(token), 'holder', holder, 'until', int(now + ttl))
  redis.call('PEXPIRE', key, int(2 * ttl))
end
`;

/**
 * Every lease has a higher token than any before it, and whoever held the key is told. ARGV: time, holder,
 * ttl, what the channels of holders begin with, \`1\` to take only what nobody holds.
 */
export const TAKE = script(
  LEASE,
  `
if held and ARGV[5] == '1' then return false end
token = math.max(token + 1, now)
hold(token, ARGV[2], ARGV[3])
if holder then
  redis.call('PUBLISH', ARGV[4] .. holder:match('^[^/]*'), holder)
end
return int(token)`,
);

/**
 * Only its holder keeps a lease; one that Redis has lost is as it was unless somebody took it meanwhile.
 * ARGV: time, holder, ttl, token.
 */
export const RENEW = script(
  LEASE,
  `
if holder ~= ARGV[2] and (holder or token >= tonumber(ARGV[4])) then return 0 end
hold(math.max(token, tonumber(ARGV[4])), ARGV[2], ARGV[3])
return 1`,
);

/** Only its holder lets go; the token stays for who comes next. ARGV: time, holder. */
export const LET_GO = script(
  LEASE,
  `
if holder ~= ARGV[2] then return 0 end
redis.call('HDEL', key, 'holder', 'until')
return 1`,
);

/** Whether somebody holds it. ARGV: time. */
export const HELD = script(LEASE, "return held and 1 or 0");

/** A value with an end: KEYS is a hash of \`value\` and \`until\`. */
const DATED = `
local key, now = KEYS[1], time(ARGV[1])
local dated = redis.call('HMGET', key, 'value', 'until')
local value = dated[1] and tonumber(dated[2] or 0) > now and dated[1]
local function put(value, ttl)
  redis.call('HSET', key, 'value', value, 'until', int(now + ttl))
  redis.call('PEXPIRE', key, ttl)
end
`;

/** The value until its end. ARGV: time. */
export const GET = script(DATED, "return value");

/** Puts a value for a time. ARGV: time, value, ttl. */
export const PUT = script(DATED, "put(ARGV[2], ARGV[3]) return 1");

/** Absent is taken, one's own renewed, another's left: answers whose it is. ARGV: time, value, ttl. */
export const CLAIM = script(
  DATED,
  `
if value and value ~= ARGV[2] then return value end
put(ARGV[2], ARGV[3])
return ARGV[2]`,
);

/** Only one's own goes. ARGV: time, value. */
export const UNCLAIM = script(
  DATED,
  `
if value == ARGV[2] then redis.call('DEL', key) end
return 1`,
);

/**
 * A document is replaced only from the version that is expected, and versions rise by one: KEYS is a hash
 * of \`version\` and \`text\`. ARGV: time, text, ttl, expected version or nothing.
 */
export const PUT_DOCUMENT = script(`
local version = tonumber(redis.call('HGET', KEYS[1], 'version') or 0)
if ARGV[4] ~= '' and tonumber(ARGV[4]) ~= version then return false end
redis.call('HSET', KEYS[1], 'version', int(version + 1), 'text', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return int(version + 1)`);

/** Reading a document keeps it for longer. ARGV: time, ttl. */
export const GET_DOCUMENT = script(`
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('HMGET', KEYS[1], 'version', 'text')`);
