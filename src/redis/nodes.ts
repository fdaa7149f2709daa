/**
 * Stores which nodes are alive, and which node holds which pinned session.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { isObject } from "../protocol/jsonrpc.ts";
import type { Claims, NodeFacts, Nodes } from "../cluster/types.ts";
import type { RedisCommands } from "./clients/commands.ts";
import type { Keys } from "./keys.ts";
import { foreignData, optionalString, parseJson } from "./replies.ts";
import { script, timeArgument } from "./scripts/script.ts";

/** Defines a value that expires. KEYS is a hash of `value` and `until`. */
const DATED = `
local key, now = KEYS[1], time(ARGV[1])
local dated = redis.call('HMGET', key, 'value', 'until')
local value = dated[1] and tonumber(dated[2] or 0) > now and dated[1]
local function put(value, ttl)
  redis.call('HSET', key, 'value', value, 'until', int(now + ttl))
  redis.call('PEXPIRE', key, ttl)
end
`;

/** Returns the value until it expires. ARGV: time. */
const GET = script(DATED, "return value");

/** Stores a value for a time. ARGV: time, value, ttl. */
const PUT = script(DATED, "put(ARGV[2], ARGV[3]) return 1");

/**
 * Stores the value if there is none, renews it if it is the same, and leaves another one. Returns
 * the value that is stored now. ARGV: time, value, ttl.
 */
const CLAIM = script(
  DATED,
  `
if value and value ~= ARGV[2] then return value end
put(ARGV[2], ARGV[3])
return ARGV[2]`,
);

/** Deletes the value if it is the given one. ARGV: time, value. */
const UNCLAIM = script(
  DATED,
  `
if value == ARGV[2] then redis.call('DEL', key) end
return 1`,
);

/** Configures {@linkcode RedisNodes} and {@linkcode RedisClaims}. */
export interface NodesInit {
  readonly commands: RedisCommands;
  readonly keys: Keys;
  readonly clock: Clock;
}

/** Implements {@linkcode Nodes} in Redis. */
export class RedisNodes implements Nodes {
  readonly #init: NodesInit;

  constructor(init: NodesInit) {
    this.#init = init;
  }

  async beat({ id, proof }: NodeFacts, ttlMs: number): Promise<void> {
    const { commands, keys, clock } = this.#init;
    const value = JSON.stringify({ id, proof });
    await commands.run(PUT, [keys.node(id)], [timeArgument(clock), value, String(ttlMs)]);
  }

  async find(id: string): Promise<NodeFacts | undefined> {
    const { commands, keys, clock } = this.#init;
    const text = optionalString(
      await commands.run(GET, [keys.node(id)], [timeArgument(clock)]),
      "node",
    );
    if (text === undefined) return undefined;
    const facts = parseJson(text, "node");
    if (!isObject(facts) || facts.id !== id) throw foreignData("node");
    return typeof facts.proof === "string" ? { id, proof: facts.proof } : { id };
  }

  async leave(id: string): Promise<void> {
    await this.#init.commands.send("DEL", this.#init.keys.node(id));
  }
}

/** Implements {@linkcode Claims} in Redis. */
export class RedisClaims implements Claims {
  readonly #init: NodesInit;

  constructor(init: NodesInit) {
    this.#init = init;
  }

  async claim(session: string, node: string, ttlMs: number): Promise<string> {
    const { commands, keys, clock } = this.#init;
    const args = [timeArgument(clock), node, String(ttlMs)];
    const holder = optionalString(await commands.run(CLAIM, [keys.claim(session)], args), "claim");
    if (holder === undefined) throw foreignData("claim");
    return holder;
  }

  async holder(session: string): Promise<string | undefined> {
    const { commands, keys, clock } = this.#init;
    return optionalString(
      await commands.run(GET, [keys.claim(session)], [timeArgument(clock)]),
      "claim",
    );
  }

  async release(session: string, node: string): Promise<void> {
    const { commands, keys, clock } = this.#init;
    await commands.run(UNCLAIM, [keys.claim(session)], [timeArgument(clock), node]);
  }
}
