/**
 * Defines the scripts of one session's event log.
 *
 * @module
 */
import { script } from "./script.ts";

/** Marks the answer of a read when the session was dropped. */
export const DROPPED = "dropped";

/**
 * Defines the event log of one session. KEYS are streams (hash), events (stream), retention (sorted
 * set). `streams` has `s:<stream>`, which is `last|delivered|ended|until|kept|bytes|places`
 * with the places of its kept events, `at` (the newest place), `bytes` (of all events),
 * `w:<writer>` (a writer's last batch with its answers), `r:<stream>` (the run of a stream that has
 * not ended: its writer, the writer's last change of it, its node and requests, sealed, and the names
 * of the requests without a response, one a line), `k:<stream>` (what is kept to run its request again), `kept` (the bytes
 * of those), and only `dropped` once the session was dropped. The id of an event is its place. An
 * event is the size of its message and the sealed message: `size:text`; the bytes above are sizes. `ended` is 2 for a stream that ended without
 * events: it has one place without an event.
 */
const LOG = `
local streams, events, retention = KEYS[1], KEYS[2], KEYS[3]
local function first(s) return s.last - (s.ended == 2 and 0 or s.kept) + 1 end
local function size(text) return tonumber((text or ''):match('^%d+')) or 0 end
local function load(name)
  local text = redis.call('HGET', streams, 's:' .. name)
  if not text then return nil end
  local last, delivered, ended, till, kept, bytes, places =
    text:match('^(%d+)|(%d+)|(%d)|(%d+)|(%d+)|(%d+)|(.*)$')
  return {last = tonumber(last), delivered = tonumber(delivered), ended = tonumber(ended),
    till = tonumber(till), kept = tonumber(kept), bytes = tonumber(bytes), places = places}
end
`;

/**
 * Numbers and stores events in one step, in the order of the batch. The limits hold for all streams
 * of the session together; a batch that arrives twice (sent again by a client whose connection
 * broke) is applied once; a dropped session stays dropped. ARGV: time, writer, batch, ttl, most
 * events, most bytes, retention, channel, time for which a drop is remembered, and in groups of
 * three an operation, a stream, and a value: `a` (append an event) and `r` (append that of a response,
 * behind a line with the name of its request or nothing), `o` (open; the node and the requests of a run,
 * sealed, and the names of the requests, one a line, or nothing), `e` (end), `d` (deliver up to a number), `k`
 * (keep a request), `i` (end a run: JSON array of the run and the events to append), `m` (move a run:
 * JSON array of the run, and its next node with the requests, sealed) or `x` (drop). Only the writer of a run can append to its
 * stream and end it.
 */
export const WRITE = script(
  LOG,
  `
local now, writer, batch = time(ARGV[1]), 'w:' .. ARGV[2], ARGV[3]
local answers, changes, positions = {}, {}, {}
local earlier, text = (redis.call('HGET', streams, writer) or ''):match('^(%d+):(.*)$')
if earlier == batch then return text end
local bytes = tonumber(redis.call('HGET', streams, 'bytes') or 0)
local dropped, dropping = redis.call('HEXISTS', streams, 'dropped') == 1, false
local function save(name, s)
  redis.call('HSET', streams, 's:' .. name, table.concat({int(s.last), int(s.delivered), s.ended,
    int(s.till), s.kept, s.bytes, s.places}, '|'))
end
local function notify(name, s)
  if not positions[name] then
    changes[#changes + 1] = name
    positions[name] = #changes + 1
  end
  changes[positions[name]] = s and first(s) or 0
end
local function unkeep(name)
  local size = redis.call('HSTRLEN', streams, 'k:' .. name)
  if size == 0 then return end
  redis.call('HDEL', streams, 'k:' .. name)
  redis.call('HINCRBY', streams, 'kept', -size)
end
local function unrun(name)
  redis.call('HDEL', streams, 'r:' .. name)
  unkeep(name)
end
local function fenced(name)
  local run = redis.call('HGET', streams, 'r:' .. name)
  return run and run:match('^[^\\n]*') ~= ARGV[2], run
end
local function setrun(name, rest)
  redis.call('HSET', streams, 'r:' .. name, ARGV[2] .. '\\n' .. batch .. '\\n' .. rest)
end
local function answered(name, run, id)
  local sealed, ids = run:match('^[^\\n]*\\n[^\\n]*\\n([^\\n]*)(.*)$')
  local left, found = {}, id == '' or not ids:find('\\n', 2, true)
  if found then ids = ids:gsub('^\\n[^\\n]*', '', 1) end
  for each in ids:gmatch('[^\\n]+') do
    if not found and each == id then found = true else left[#left + 1] = '\\n' .. each end
  end
  setrun(name, sealed .. table.concat(left))
  if #left == 0 then unkeep(name) end
end
local function forget(name, s)
  unrun(name)
  for place in s.places:gmatch('%d+') do redis.call('XDEL', events, place .. '-0') end
  bytes = bytes - s.bytes
  redis.call('HDEL', streams, 's:' .. name)
  redis.call('ZREM', retention, name)
end
local function trim(newest)
  while redis.call('XLEN', events) > tonumber(ARGV[5]) or bytes > tonumber(ARGV[6]) do
    local oldest = redis.call('XRANGE', events, '-', '+', 'COUNT', 1)[1]
    if not oldest or oldest[1] == newest then return end
    redis.call('XDEL', events, oldest[1])
    local name, freed = oldest[2][2], size(oldest[2][4])
    bytes = bytes - freed
    local s = load(name)
    if s then
      s.kept, s.bytes, s.places = s.kept - 1, s.bytes - freed, s.places:match('^%d+,?(.*)$')
      if s.ended > 0 and s.kept == 0 then forget(name, s) else save(name, s) end
      if s.ended ~= 2 then notify(name, s) end
    end
  end
end
local function keep(name, s, ...)
  local place = redis.call('HINCRBY', streams, 'at', 1)
  redis.call('XADD', events, place .. '-0', 's', name, ...)
  s.places = s.kept == 0 and tostring(place) or s.places .. ',' .. place
  s.kept = s.kept + 1
  save(name, s)
  trim(place .. '-0')
end
local function retain(name, s)
  if s.ended == 0 or s.delivered < s.last or s.till > 0 then return end
  s.till = now + ARGV[7]
  redis.call('ZADD', retention, int(s.till), name)
end
local act = {}
function act.o(name, s, run)
  if s.new then save(name, s) end
  if run ~= '' and s.ended == 0 and redis.call('HEXISTS', streams, 'r:' .. name) == 0 then
    setrun(name, run)
  end
  return 0
end
local function append(name, s, data)
  s.last, s.bytes, bytes = s.last + 1, s.bytes + size(data), bytes + size(data)
  keep(name, s, 'd', data)
  notify(name, load(name) or s)
  return s.last
end
function act.a(name, s, data)
  if s.ended > 0 or fenced(name) then return 0 end
  return append(name, s, data)
end
function act.r(name, s, value)
  local id, data = value:match('^([^\\n]*)\\n(.*)$')
  local foreign, run = fenced(name)
  if s.ended > 0 or foreign then return 0 end
  if run then answered(name, run, id) end
  return append(name, s, data)
end
local function finish(name, s)
  unrun(name)
  s.ended = s.kept == 0 and 2 or 1
  retain(name, s)
  if s.ended == 2 then keep(name, s) else save(name, s) end
  notify(name, s)
  return 0
end
function act.e(name, s)
  if s.ended > 0 or fenced(name) then return 0 end
  return finish(name, s)
end
function act.k(name, s, request)
  local foreign, run = fenced(name)
  local size = tonumber(redis.call('HGET', streams, 'kept') or 0) + #request
  if foreign or not run or run:match('^[^\\n]*\\n[^\\n]*\\n[^\\n]*$') or size > tonumber(ARGV[6]) then
    return 0
  end
  unkeep(name)
  redis.call('HSET', streams, 'k:' .. name, request)
  redis.call('HINCRBY', streams, 'kept', #request)
  return 0
end
function act.i(name, s, value)
  local list = cjson.decode(value)
  if s.ended > 0 or redis.call('HGET', streams, 'r:' .. name) ~= list[1] then return 0 end
  for i = 2, #list do
    append(name, s, list[i])
    s = load(name) or s
  end
  finish(name, s)
  return 1
end
function act.m(name, s, value)
  local list = cjson.decode(value)
  if s.ended > 0 or redis.call('HGET', streams, 'r:' .. name) ~= list[1] then return 0 end
  unkeep(name)
  setrun(name, list[2] .. list[1]:match('^[^\\n]*\\n[^\\n]*\\n[^\\n]*(.*)$'))
  return 1
end
function act.d(name, s, n)
  if s.new or tonumber(n) <= s.delivered then return 0 end
  s.delivered = math.min(tonumber(n), s.last)
  retain(name, s)
  save(name, s)
  return 0
end
for _, name in ipairs(redis.call('ZRANGEBYSCORE', retention, '-inf', int(now))) do
  local s = load(name)
  if s then forget(name, s) end
  notify(name)
end
for i = 10, #ARGV, 3 do
  local answer = 0
  if ARGV[i] == 'x' then
    redis.call('DEL', streams, events, retention)
    redis.call('HSET', streams, 'dropped', 1)
    dropped, dropping, changes, positions = true, true, {}, {}
  elseif not dropped then
    local name = ARGV[i + 1]
    local s = load(name) or
      {new = true, last = 0, delivered = 0, ended = 0, till = 0, kept = 0, bytes = 0, places = ''}
    answer = act[ARGV[i]](name, s, ARGV[i + 2])
  end
  answers[#answers + 1] = int(answer)
end
text = table.concat(answers, ',')
redis.call('HSET', streams, writer, batch .. ':' .. text)
if dropped then
  redis.call('PEXPIRE', streams, ARGV[9])
  if dropping then redis.call('PUBLISH', ARGV[8], '[]') end
  return text
end
redis.call('HSET', streams, 'bytes', int(bytes))
for _, key in ipairs(KEYS) do
  if redis.call('PTTL', key) == -1 then redis.call('PEXPIRE', key, ARGV[4]) end
end
if #changes > 0 then redis.call('PUBLISH', ARGV[8], cjson.encode(changes)) end
return text`,
);

/** Reads a stream's run, and what is kept to run its request again. ARGV: time, stream. */
export const RUN = script(
  LOG,
  `
if redis.call('HEXISTS', streams, 'dropped') == 1 then return false end
local run = redis.call('HGET', streams, 'r:' .. ARGV[2])
if not run then return false end
return {run, redis.call('HGET', streams, 'k:' .. ARGV[2]) or ''}`,
);

/**
 * Reads a stream after a number: last, ended, oldest kept, delivered, and the events. Answers
 * nothing for a stream that is unknown or past its retention. Changes nothing. ARGV: time, stream,
 * number.
 */
export const READ = script(
  LOG,
  `
local s = load(ARGV[2])
if redis.call('HEXISTS', streams, 'dropped') == 1 then return '${DROPPED}' end
if not s or s.till > 0 and s.till <= time(ARGV[1]) then return false end
local answer = {int(s.last), s.ended > 0 and '1' or '0', int(first(s)), int(s.delivered)}
local missing, places = s.last - math.max(tonumber(ARGV[3]), first(s) - 1), {}
if missing <= 0 then return answer end
for place in s.places:gmatch('%d+') do places[#places + 1] = place end
for i = #places - missing + 1, #places do
  local id = places[i] .. '-0'
  answer[#answer + 1] = redis.call('XRANGE', events, id, id)[1][2][4]
end
return answer`,
);
