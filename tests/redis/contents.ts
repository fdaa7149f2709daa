/**
 * Reads and writes everything that a Redis holds, as a program can that has no key of the nodes.
 *
 * @module
 */
import assert from "node:assert/strict";
import { strings } from "../../src/redis/replies.ts";

/** Sends a command. */
export type Send = (...args: string[]) => Promise<unknown>;

/** What one key holds: a list of entries, which are fields, members or events. */
export interface Kept {
  readonly type: "hash" | "set" | "zset" | "stream" | "string";
  /**
   * A hash: name and value. A set: the member. A sorted set: member and score. A stream: id and what it
   * has. A string: the text.
   */
  readonly entries: readonly (readonly string[])[];
}

/** All keys. */
export type Contents = ReadonlyMap<string, Kept>;

const CALL = "return redis.call(unpack(ARGV))";

/** Reads one key. */
async function readKey(direct: Send, key: string): Promise<Kept> {
  // By a script, whose answers have one form for all clients.
  const send: Send = (...args) => direct("EVAL", CALL, "0", ...args);
  const type = String(await direct("TYPE", key));
  const pairs = (flat: readonly string[]) =>
    Array.from({ length: flat.length / 2 }, (_, i) => flat.slice(2 * i, 2 * i + 2));
  switch (type) {
    case "hash":
      return { type, entries: pairs(strings(await send("HGETALL", key), key)) };
    case "set":
      return { type, entries: strings(await send("SMEMBERS", key), key).map((member) => [member]) };
    case "zset": {
      const flat = strings(await send("ZRANGE", key, "0", "-1", "WITHSCORES"), key);
      return { type, entries: pairs(flat) };
    }
    case "stream": {
      const events = await send("XRANGE", key, "-", "+");
      assert.ok(Array.isArray(events));
      return { type, entries: events.map(([id, fields]) => [id, ...fields]) };
    }
    case "string":
      return { type, entries: [[String(await send("GET", key))]] };
    default:
      return assert.fail(`${key} is a ${type}`);
  }
}

/** Reads all keys of a Redis that only the test uses. */
export async function readContents(send: Send): Promise<Contents> {
  const keys = strings(await send("KEYS", "*"), "keys").sort();
  return new Map(
    await Promise.all(keys.map(async (key) => [key, await readKey(send, key)] as const)),
  );
}

/** Replaces what a key holds. It expires. */
export async function writeKey(send: Send, key: string, { type, entries }: Kept): Promise<void> {
  await send("DEL", key);
  if (entries.length === 0) return;
  for (const entry of type === "stream" ? entries : []) await send("XADD", key, ...entry);
  if (type === "hash") await send("HSET", key, ...entries.flat());
  if (type === "set") await send("SADD", key, ...entries.flat());
  if (type === "zset") await send("ZADD", key, ...entries.flatMap(([m = "", s = ""]) => [s, m]));
  if (type === "string") await send("SET", key, entries[0]?.[0] ?? "");
  await send("PEXPIRE", key, "600000");
}

/** Makes a Redis hold these keys, and no others. */
export async function writeContents(send: Send, contents: Contents): Promise<void> {
  await send("FLUSHALL");
  await Promise.all([...contents].map(([key, kept]) => writeKey(send, key, kept)));
}
