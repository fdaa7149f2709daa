/**
 * Defines the scripts of tasks.
 *
 * @module
 */
import { script } from "./script.ts";

/**
 * Defines tasks. An id is the digest of a task's id. KEYS are running (hash id → the task's id, sealed,
 * a space, and its runner), all (ids by the time of their expiry), shares
 * (hash id → digest of the owner's share), count (hash share → tasks), runners (names by the time
 * until which they are alive), returned (lost runners by the time until which their tasks are not
 * returned again), beat (the time of the last beat of any runner), and the record of a task.
 *
 * The record is a hash of `owner` (a digest), `rec` (what never changes, sealed), `until`, `runner`,
 * `progress` (sealed), `ended`, and `rerun` (sealed, absent if the task can't run again).
 */
const TASKS = `
local running, all, shares, count, runners, returned, beat, record = unpack(KEYS)
local function load(now)
  local f = redis.call('HMGET', record, 'owner', 'until', 'runner', 'ended', 'rerun', 'rec', 'progress')
  if not f[1] or (tonumber(f[2]) or 0) <= now then return nil end
  return {owner = f[1], runner = f[3], ended = f[4], rerun = f[5], rec = f[6], progress = f[7]}
end
local function shown(t)
  return {t.rec or '', t.runner or '', t.progress or '', t.rerun or ''}
end
local function change(id, progress, status)
  redis.call('HSET', record, 'progress', progress)
  if status ~= 'working' then redis.call('HDEL', record, 'rerun') end
  if status == 'ended' then
    redis.call('HSET', record, 'ended', '1')
    redis.call('HDEL', running, id)
  end
end
local function forget(id)
  local share = redis.call('HGET', shares, id)
  redis.call('HDEL', running, id)
  redis.call('ZREM', all, id)
  if not share then return end
  redis.call('HDEL', shares, id)
  if redis.call('HINCRBY', count, share, -1) <= 0 then redis.call('HDEL', count, share) end
end
local function keep(ttl)
  for i = 1, 7 do
    if redis.call('PTTL', KEYS[i]) < tonumber(ttl) then redis.call('PEXPIRE', KEYS[i], ttl) end
  end
end
`;

/**
 * Creates a task unless its id is taken or a cap is reached. ARGV: time, id, digest of the share,
 * cap, cap of the share, ttl, runner, sealed id, and the fields and values of the record.
 */
export const CREATE_TASK = script(
  TASKS,
  `
local now, id, share, ttl, runner = time(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[6]), ARGV[7]
for _, old in ipairs(redis.call('ZRANGEBYSCORE', all, '-inf', int(now), 'LIMIT', 0, 1000)) do
  forget(old)
end
if load(now) then return 0 end
if redis.call('ZCARD', all) >= tonumber(ARGV[4]) then return 0 end
if tonumber(redis.call('HGET', count, share) or 0) >= tonumber(ARGV[5]) then return 0 end
redis.call('DEL', record)
redis.call('HSET', record, 'until', int(now + ttl), 'runner', runner, unpack(ARGV, 9))
redis.call('PEXPIRE', record, int(ttl))
redis.call('ZADD', all, int(now + ttl), id)
redis.call('HSET', shares, id, share)
redis.call('HINCRBY', count, share, 1)
redis.call('HSET', running, id, ARGV[8] .. ' ' .. runner)
keep(ttl)
return 1`,
);

/** Returns a task of an owner. ARGV: time, digest of the owner. */
export const GET_TASK = script(
  TASKS,
  `
local t = load(time(ARGV[1]))
if not t or t.owner ~= ARGV[2] then return false end
return shown(t)`,
);

/**
 * Changes a task that has not ended, for its runner. ARGV: time, id, runner, progress, and `working`,
 * `asking` or `ended`.
 */
export const UPDATE_TASK = script(
  TASKS,
  `
local t = load(time(ARGV[1]))
if not t or t.ended or t.runner ~= ARGV[3] then return 0 end
change(ARGV[2], ARGV[4], ARGV[5])
return 1`,
);

/**
 * Changes a task that has not ended, for its owner, and returns it as it was. ARGV: time, id, digest of
 * the owner, progress, and `working`, `asking` or `ended`.
 */
export const CANCEL_TASK = script(
  TASKS,
  `
local t = load(time(ARGV[1]))
if not t or t.owner ~= ARGV[3] then return false end
if not t.ended then change(ARGV[2], ARGV[4], ARGV[5]) end
return shown(t)`,
);

/**
 * Gives a task that waits for a runner to one. ARGV: time, id, digest of the owner, runner, sealed
 * id.
 */
export const TAKE_TASK = script(
  TASKS,
  `
local t = load(time(ARGV[1]))
if not t or t.owner ~= ARGV[3] or t.ended or t.runner ~= '' then return 0 end
redis.call('HDEL', record, 'rerun')
redis.call('HSET', record, 'runner', ARGV[4])
redis.call('HSET', running, ARGV[2], ARGV[5] .. ' ' .. ARGV[4])
keep(redis.call('PTTL', record))
return 1`,
);

/**
 * Ends a task of a lost runner, or lets it wait for another one. ARGV: time, id, runner, progress,
 * and `working`, `asking` or `ended`.
 */
export const LOSE_TASK = script(
  TASKS,
  `
local now, id, runner = time(ARGV[1]), ARGV[2], ARGV[3]
if tonumber(redis.call('ZSCORE', runners, runner) or 0) > now then return 0 end
local t = load(now)
if not t then forget(id) return 0 end
if t.ended or t.runner ~= runner then return 0 end
if not t.rerun then change(id, ARGV[4], ARGV[5]) return 1 end
redis.call('HSET', record, 'runner', '')
redis.call('HDEL', running, id)
return 1`,
);

/** Deletes a task. ARGV: time, id. */
export const DELETE_TASK = script(
  TASKS,
  `
redis.call('DEL', record)
forget(ARGV[2])
return 1`,
);

/**
 * Records that a runner is alive. Returns whether it was not, and the tasks of lost runners: ids,
 * each with the sealed id and the runner. ARGV: time, ttl of the runner, runner, ttl of the keys.
 */
export const BEAT = script(
  TASKS,
  `
local now, ttl, me = time(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
if now - tonumber(redis.call('GET', beat) or 0) > ttl / 2 then
  -- Nobody reached Redis, or nobody ran: all runners get their time anew
  for _, runner in ipairs(redis.call('ZRANGE', runners, 0, -1)) do
    redis.call('ZADD', runners, int(now + ttl), runner)
  end
end
redis.call('SET', beat, int(now))
local lapsed = tonumber(redis.call('ZSCORE', runners, me) or 0) <= now
redis.call('ZADD', runners, int(now + ttl), me)
redis.call('ZREM', returned, me)
local list, tasks = {lapsed and 1 or 0}, nil
for _, runner in ipairs(redis.call('ZRANGEBYSCORE', runners, '-inf', int(now))) do
  if tonumber(redis.call('ZSCORE', returned, runner) or 0) <= now then
    tasks = tasks or redis.call('HGETALL', running)
    local before = #list
    for i = 1, #tasks, 2 do
      local sealed, its = tasks[i + 1]:match('^(%S*) (.*)$')
      if its == runner then
        list[#list + 1] = tasks[i]
        list[#list + 1] = sealed
        list[#list + 1] = runner
      end
    end
    if #list == before then
      redis.call('ZREM', runners, runner)
      redis.call('ZREM', returned, runner)
    else
      redis.call('ZADD', returned, int(now + ttl), runner)
    end
  end
end
keep(ARGV[4])
return list`,
);

/** Records that a runner is lost. ARGV: time, runner. */
export const LEAVE = script(
  TASKS,
  `
if redis.call('ZSCORE', runners, ARGV[2]) then redis.call('ZADD', runners, 0, ARGV[2]) end
return 1`,
);
