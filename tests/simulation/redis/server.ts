/**
 * Simulates a Redis server: the commands and scripts that `redisStore` sends, channels, and expiry by
 * the server's own time.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { type LuaScript, translate } from "./lua.ts";
import { LuaTable } from "./lua_values.ts";

/** A value of a key. */
type Value = string | Hash | SortedSet | Members | EntryStream;
class Hash extends Map<string, string> {}
class SortedSet extends Map<string, number> {}
class Members extends Set<string> {}
/** Entries in the order of their ids, each with fields and values. */
class EntryStream extends Map<string, readonly string[]> {}

interface Entry {
  value: Value;
  /** The time at which it expires. */
  until: number;
}

/** An answer of the server, as clients show it. */
export type Answer = string | number | null | readonly Answer[];

/** An error that the server answers with. */
export class RedisError extends Error {}

/** What was in the server at one time. */
export type Snapshot = ReadonlyMap<string, Entry>;

const translated = new Map<string, LuaScript>();
const CLOCKED = new Map<string, boolean>();

/** A simulated Redis server. Commands take effect at once; delay is the business of connections. */
export class SimulatedRedis {
  readonly #now: () => number;
  readonly #publish: (channel: string, text: string) => number;
  #keys = new Map<string, Entry>();
  readonly #scripts = new Map<string, string>();
  readonly #ownTime: boolean;

  /**
   * @param now The time of the server
   * @param publish Passes on a message, and returns the number of its receivers
   * @param ownTime Whether scripts use the server's time even if a node gives its own
   */
  constructor(
    now: () => number,
    publish: (channel: string, text: string) => number,
    ownTime = false,
  ) {
    this.#now = now;
    this.#publish = publish;
    this.#ownTime = ownTime;
  }

  /** The names of the keys that have not expired. */
  get keys(): string[] {
    return [...this.#keys.keys()].filter((key) => this.#find(key) !== undefined);
  }

  /** The hashes. */
  *hashes(): Iterable<readonly [key: string, fields: ReadonlyMap<string, string>]> {
    for (const key of this.keys) {
      const value = this.#find(key);
      if (value instanceof Hash) yield [key, value];
    }
  }

  /** Copies everything, as a replica has it. */
  snapshot(): Snapshot {
    const copy = ([key, { value, until }]: [string, Entry]) =>
      [key, { value: copied(value), until }] as const;
    return new Map([...this.#keys].map(copy));
  }

  /** Replaces everything by what a replica has. It knows no scripts. */
  restore(snapshot: Snapshot): void {
    this.#keys = new Map([...snapshot].map(([key, { value, until }]) => [key, {
      value: copied(value),
      until,
    }]));
    this.#scripts.clear();
  }

  /** Runs a command. */
  run(args: readonly string[]): Answer {
    const [command = "", ...rest] = args;
    switch (command) {
      case "EVAL": {
        const text = rest[0] ?? "";
        this.#scripts.set(createHash("sha1").update(text).digest("hex"), text);
        return this.#script(text, rest.slice(1));
      }
      case "EVALSHA": {
        const text = this.#scripts.get(rest[0] ?? "");
        if (text === undefined) throw new RedisError("NOSCRIPT No matching script");
        return this.#script(text, rest.slice(1));
      }
      case "INFO":
        return "# Cluster\r\ncluster_enabled:0\r\n";
      case "PING":
        return "PONG";
      default:
        return this.#command(command, rest);
    }
  }

  #script(text: string, [count, ...rest]: readonly string[]): Answer {
    const script = translated.get(text) ?? translate(text);
    translated.set(text, script);
    const keys = rest.slice(0, Number(count));
    const args = rest.slice(Number(count));
    if (this.#ownTime && takesTime(text)) args[0] = "";
    const redis = new LuaTable();
    const run = (...values: unknown[]) => [toLua(this.#command(String(values[0]), texts(values)))];
    redis.set("call", run);
    redis.set("pcall", (...values: unknown[]) => {
      try {
        return run(...values);
      } catch (error) {
        if (!(error instanceof RedisError)) throw error;
        return [new LuaTable()];
      }
    });
    const globals = { redis, KEYS: LuaTable.of(keys), ARGV: LuaTable.of(args) };
    return fromLua(script(globals)?.[0]);
  }

  #find(key: string): Value | undefined {
    const entry = this.#keys.get(key);
    if (entry === undefined) return undefined;
    if (entry.until > this.#now()) return entry.value;
    this.#keys.delete(key);
    return undefined;
  }

  #get<T extends Value>(key: string, kind: new () => T): T | undefined {
    const value = this.#find(key);
    if (value === undefined) return undefined;
    if (!(value instanceof kind)) throw new RedisError("WRONGTYPE Another kind of value");
    return value;
  }

  #make<T extends Value>(key: string, kind: new () => T): T {
    const found = this.#get(key, kind);
    if (found !== undefined) return found;
    const value = new kind();
    this.#keys.set(key, { value, until: Infinity });
    return value;
  }

  /** Deletes a key whose last member is gone. */
  #prune(key: string, kept = false): void {
    const value = this.#find(key);
    if (value === undefined || typeof value === "string" || kept) return;
    if (value.size === 0) this.#keys.delete(key);
  }

  #command(command: string, args: readonly string[]): Answer {
    const [key = "", a = "", b = "", c = ""] = args;
    switch (command) {
      case "TIME": {
        const now = this.#now();
        return [String(Math.floor(now / 1_000)), String(now % 1_000 * 1_000)];
      }
      case "PUBLISH":
        return this.#publish(key, a);
      case "DEL":
        return args.filter((each) => {
          const had = this.#find(each) !== undefined;
          this.#keys.delete(each);
          return had;
        }).length;
      case "EXISTS":
        return this.#find(key) === undefined ? 0 : 1;
      case "PEXPIRE": {
        const entry = this.#find(key) === undefined ? undefined : this.#keys.get(key);
        if (entry === undefined) return 0;
        if (!/^-?\d+$/.test(a)) throw new RedisError("ERR value is not an integer");
        entry.until = this.#now() + Number(a);
        return 1;
      }
      case "PTTL": {
        if (this.#find(key) === undefined) return -2;
        const until = this.#keys.get(key)?.until ?? 0;
        return until === Infinity ? -1 : until - this.#now();
      }
      case "GET": {
        const value = this.#find(key) ?? null;
        if (value !== null && typeof value !== "string") throw new RedisError("WRONGTYPE");
        return value;
      }
      case "SET":
        this.#keys.set(key, { value: a, until: b === "PX" ? this.#now() + Number(c) : Infinity });
        return "OK";
      case "HGET":
        return this.#get(key, Hash)?.get(a) ?? null;
      case "HMGET":
        return args.slice(1).map((field) => this.#get(key, Hash)?.get(field) ?? null);
      case "HGETALL":
        return [...this.#get(key, Hash) ?? []].flat();
      case "HEXISTS":
        return this.#get(key, Hash)?.has(a) ? 1 : 0;
      case "HLEN":
        return this.#get(key, Hash)?.size ?? 0;
      case "HSTRLEN":
        return this.#get(key, Hash)?.get(a)?.length ?? 0;
      case "HSET": {
        const hash = this.#make(key, Hash);
        const before = hash.size;
        for (let i = 1; i < args.length; i += 2) hash.set(args[i] ?? "", args[i + 1] ?? "");
        return hash.size - before;
      }
      case "HDEL": {
        const hash = this.#get(key, Hash);
        const count = args.slice(1).filter((field) => hash?.delete(field)).length;
        this.#prune(key);
        return count;
      }
      case "HINCRBY": {
        const hash = this.#make(key, Hash);
        const number = Number(hash.get(a) ?? 0) + Number(b);
        if (!Number.isInteger(number)) throw new RedisError("ERR hash value is not an integer");
        hash.set(a, String(number));
        return number;
      }
      case "SADD": {
        const set = this.#make(key, Members);
        const before = set.size;
        for (const each of args.slice(1)) set.add(each);
        return set.size - before;
      }
      case "SREM": {
        const set = this.#get(key, Members);
        const count = args.slice(1).filter((each) => set?.delete(each)).length;
        this.#prune(key);
        return count;
      }
      case "SISMEMBER":
        return this.#get(key, Members)?.has(a) ? 1 : 0;
      case "SCARD":
        return this.#get(key, Members)?.size ?? 0;
      case "SMEMBERS":
        return [...this.#get(key, Members) ?? []];
      case "XADD": {
        const stream = this.#make(key, EntryStream);
        const last = [...stream.keys()].at(-1);
        if (last !== undefined && parseInt(last) >= parseInt(a)) {
          throw new RedisError("ERR The ID specified in XADD is equal or smaller");
        }
        stream.set(a, args.slice(2));
        return a;
      }
      case "XDEL":
        // An empty stream stays.
        return args.slice(1).filter((id) => this.#get(key, EntryStream)?.delete(id)).length;
      case "XLEN":
        return this.#get(key, EntryStream)?.size ?? 0;
      case "XRANGE": {
        const stream = this.#get(key, EntryStream);
        const all = [...stream ?? []].filter(([id]) => a === "-" || id === a);
        return (c === "COUNT" ? all.slice(0, Number(args[4])) : all).map(([id, f]) => [id, f]);
      }
      default:
        return this.#sorted(command, args);
    }
  }

  #sorted(command: string, args: readonly string[]): Answer {
    const [key = "", a = "", b = ""] = args;
    const set = this.#get(key, SortedSet);
    const sorted = () =>
      [...set ?? []].sort(([x, m], [y, n]) => m - n || (x < y ? -1 : x > y ? 1 : 0));
    const shown = (all: readonly [string, number][]) => {
      const limit = args.indexOf("LIMIT");
      const [skip, most] = [Number(args[limit + 1]), Number(args[limit + 2])];
      const some = limit < 0 ? all : all.slice(skip, most < 0 ? undefined : skip + most);
      return some.flatMap(([member, score]) =>
        args.includes("WITHSCORES") ? [member, String(score)] : [member]
      );
    };
    switch (command) {
      case "ZADD": {
        const made = this.#make(key, SortedSet);
        const before = made.size;
        for (let i = 1; i < args.length; i += 2) made.set(args[i + 1] ?? "", Number(args[i]));
        return made.size - before;
      }
      case "ZREM": {
        const count = args.slice(1).filter((member) => set?.delete(member)).length;
        this.#prune(key);
        return count;
      }
      case "ZCARD":
        return set?.size ?? 0;
      case "ZSCORE": {
        const score = set?.get(a);
        return score === undefined ? null : String(score);
      }
      case "ZRANGE":
        return shown(sorted().slice(Number(a), b === "-1" ? undefined : Number(b) + 1));
      case "ZRANGEBYSCORE":
        return shown(sorted().filter(([, score]) => score <= Number(b)));
      case "ZRANGEBYLEX":
        return shown(sorted().filter(([member]) => isAbove(member, a) && isBelow(member, b)));
      default:
        throw new RedisError(`ERR The simulation has no command ${command}`);
    }
  }
}

/** Whether a member is above the lower end of a range: `[x` includes x, `(x` doesn't, `-` is below all. */
function isAbove(member: string, end: string): boolean {
  return end === "-" || (end.startsWith("[") ? member >= end.slice(1) : member > end.slice(1));
}

/** Whether a member is below the upper end of a range; `+` is above all. */
function isBelow(member: string, end: string): boolean {
  return end === "+" || (end.startsWith("[") ? member <= end.slice(1) : member < end.slice(1));
}

/** Whether a script takes the time as its first argument. */
function takesTime(text: string): boolean {
  const known = CLOCKED.get(text) ?? text.includes("time(ARGV[1])");
  CLOCKED.set(text, known);
  return known;
}

function copied(value: Value): Value {
  if (typeof value === "string") return value;
  return new (value.constructor as new (all: unknown) => Value)(value);
}

function texts(values: readonly unknown[]): string[] {
  return values.slice(1).map((value) => {
    // Redis writes numbers with 17 digits.
    if (typeof value === "number") return String(value);
    if (typeof value !== "string") throw new RedisError(`ERR An argument is ${typeof value}`);
    return value;
  });
}

function toLua(answer: Answer): unknown {
  if (answer === null) return false;
  return Array.isArray(answer) ? LuaTable.of(answer.map(toLua)) : answer;
}

function fromLua(value: unknown): Answer {
  if (value === undefined || value === false) return null;
  if (value === true) return 1;
  if (typeof value === "number") return Math.trunc(value);
  if (typeof value === "string") return value;
  if (value instanceof LuaTable) return value.list.map(fromLua);
  throw new RedisError(`ERR A script returned ${typeof value}`);
}
