/**
 * Stores in Redis the records that expire.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { randomText } from "../internal/random.ts";
import {
  type RecordKeys,
  type RecordStore,
  type RecordWrite,
  type StoredRecord,
  TooManyRecordsError,
} from "../internal/record_store.ts";
import type { RedisCommands } from "./clients/commands.ts";
import type { RecordNames } from "./keys.ts";
import { foreignData, parseJson, strings } from "./replies.ts";
import { bounded, type Script, script, timeArgument } from "./scripts/script.ts";

/** The maximum number of records. */
const MOST_RECORDS = 1_000_000;
/** The maximum number of keys of a page. */
const PAGE = 100;
/** The characters of a version: random, as no two writes may have the same. */
const VERSION_CHARS = 16;

/**
 * Finds a record. KEYS are names (the names of all records, in lexical order), until (the same by their
 * expiry), and the record, a hash of `value`, `version` and `until`.
 */
const RECORD = `
local names, till, record = KEYS[1], KEYS[2], KEYS[3]
local now = time(ARGV[1])
local function current()
  local found = redis.call('HMGET', record, 'version', 'until', 'value')
  if found[1] and tonumber(found[2] or 0) > now then return found end
  return nil
end
`;

/** Reads a record. ARGV: time. */
const GET = script(
  RECORD,
  `
local found = current()
if not found then return false end
return {found[3], found[1]}`,
);

/**
 * Writes a record, unless its version is not the expected one (0) or there are too many (-1). ARGV: time,
 * name, value, ttl, new version, expected version (`*` any, `-` none), maximum number.
 */
const PUT = script(
  RECORD,
  `
local name, ttl, expected = ARGV[2], tonumber(ARGV[4]), ARGV[6]
local found = current()
if expected ~= '*' and (found and found[1] or '-') ~= expected then return 0 end
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', till, '-inf', int(now), 'LIMIT', 0, 100)) do
  redis.call('ZREM', till, gone)
  redis.call('ZREM', names, gone)
end
if not found and redis.call('ZCARD', names) >= tonumber(ARGV[7]) then return -1 end
redis.call('HSET', record, 'value', ARGV[3], 'version', ARGV[5], 'until', int(now + ttl))
redis.call('PEXPIRE', record, ttl)
redis.call('ZADD', names, 0, name)
redis.call('ZADD', till, int(now + ttl), name)
for _, index in ipairs({names, till}) do
  if redis.call('PTTL', index) < ttl then redis.call('PEXPIRE', index, ttl) end
end
return 1`,
);

/** Deletes a record. ARGV: time, name, expected version (`*` any). */
const DELETE = script(
  RECORD,
  `
local found = current()
if not found or (ARGV[3] ~= '*' and found[1] ~= ARGV[3]) then return 0 end
redis.call('DEL', record)
redis.call('ZREM', names, ARGV[2])
redis.call('ZREM', till, ARGV[2])
return 1`,
);

/**
 * Lists the names between two, and returns the last one that was read. ARGV: time, lower end, upper end,
 * maximum number.
 */
const LIST = script(`
local names, till, now = KEYS[1], KEYS[2], time(ARGV[1])
local read = redis.call('ZRANGEBYLEX', names, ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])
local answer = {#read == tonumber(ARGV[4]) and read[#read] or ''}
for _, name in ipairs(read) do
  if tonumber(redis.call('ZSCORE', till, name) or 0) > now then table.insert(answer, name) end
end
return answer`);

/** Configures {@linkcode RedisRecords}. */
export interface RecordsInit {
  readonly commands: RedisCommands;
  readonly keys: RecordNames;
  readonly clock: Clock;
  /** The maximum number of records. */
  readonly most?: number | undefined;
}

/**
 * Implements {@linkcode RecordStore} in Redis. Names and values are written as JSON, which keeps every
 * string; the values are encrypted by whoever uses the store, and keys don't reveal secrets.
 */
export class RedisRecords implements RecordStore {
  readonly #init: RecordsInit;

  constructor(init: RecordsInit) {
    this.#init = init;
  }

  async get(key: string): Promise<StoredRecord | undefined> {
    const reply = await this.#run(GET, key, []);
    if (reply === null) return undefined;
    const [text = "", version = ""] = strings(reply, "record");
    const value = parseJson(text, "record");
    if (typeof value !== "string") throw foreignData("record");
    return { value, version };
  }

  async put(
    key: string,
    value: string,
    { ttlMs, expected }: RecordWrite,
  ): Promise<string | undefined> {
    const { most = MOST_RECORDS } = this.#init;
    const version = randomText(VERSION_CHARS);
    const ttl = String(Math.ceil(bounded(ttlMs)));
    const wanted = expected === undefined ? "*" : expected ?? "-";
    const args = [nameOf(key), JSON.stringify(value), ttl, version, wanted, String(most)];
    const result = await this.#run(PUT, key, args);
    if (result === -1) throw new TooManyRecordsError(most);
    return result === 1 ? version : undefined;
  }

  async delete(key: string, expected?: string): Promise<boolean> {
    return await this.#run(DELETE, key, [nameOf(key), expected ?? "*"]) === 1;
  }

  async list(prefix: string, cursor?: string): Promise<RecordKeys> {
    const { commands, keys, clock } = this.#init;
    // Without the quote at its end, so that it is the beginning of names
    const start = nameOf(prefix).slice(0, -1);
    const lower = cursor === undefined ? `[${start}` : `(${cursor}`;
    const args = [timeArgument(clock), lower, `[${start}\u{10ffff}`, String(PAGE)];
    const [last = "", ...names] = strings(await commands.run(LIST, keys.index, args), "records");
    const found = names.map((name) => {
      const key = parseJson(name, "record");
      if (typeof key !== "string") throw foreignData("record");
      return key;
    });
    return last === "" ? { keys: found } : { keys: found, cursor: last };
  }

  #run(script: Script, key: string, args: readonly string[]): Promise<unknown> {
    const { commands, keys, clock } = this.#init;
    const all = [...keys.index, keys.record(nameOf(key))];
    return commands.run(script, all, [timeArgument(clock), ...args]);
  }
}

/** Returns a key as JSON, which has only valid characters. */
function nameOf(key: string): string {
  return JSON.stringify(key);
}
