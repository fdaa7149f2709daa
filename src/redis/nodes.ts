/**
 * Which nodes live, what they hold, and what they go by.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { isObject } from "../protocol/jsonrpc.ts";
import {
  type Claims,
  type Documents,
  MOST_DOCUMENT_BYTES,
  type NodeFacts,
  type Nodes,
  type SharedDocument,
} from "../cluster/types.ts";
import { CLAIM, GET, GET_DOCUMENT, PUT, PUT_DOCUMENT, UNCLAIM } from "./cluster_scripts.ts";
import { type Commands, timeFor } from "./commands.ts";
import type { Keys } from "./keys.ts";
import { integer, json, strange } from "./replies.ts";

/** For how long a document is kept that nobody reads, in milliseconds: a year. */
const DOCUMENT_MS = 366 * 24 * 60 * 60 * 1_000;

/** What these are made with. */
export interface NodesInit {
  readonly commands: Commands;
  readonly keys: Keys;
  readonly clock: Clock;
}

/** {@linkcode Nodes} in Redis. */
export class RedisNodes implements Nodes {
  readonly #init: NodesInit;

  constructor(init: NodesInit) {
    this.#init = init;
  }

  async beat({ id }: NodeFacts, ttlMs: number): Promise<void> {
    const { commands, keys, clock } = this.#init;
    const value = JSON.stringify({ id });
    await commands.run(PUT, [keys.node(id)], [timeFor(clock), value, String(ttlMs)]);
  }

  async find(id: string): Promise<NodeFacts | undefined> {
    const { commands, keys, clock } = this.#init;
    const text = optional(await commands.run(GET, [keys.node(id)], [timeFor(clock)]), "node");
    if (text === undefined) return undefined;
    const facts = json(text, "node");
    if (!isObject(facts) || facts.id !== id) throw strange("node");
    return { id };
  }

  async leave(id: string): Promise<void> {
    await this.#init.commands.send("DEL", this.#init.keys.node(id));
  }
}

/** {@linkcode Claims} in Redis. */
export class RedisClaims implements Claims {
  readonly #init: NodesInit;

  constructor(init: NodesInit) {
    this.#init = init;
  }

  async claim(session: string, node: string, ttlMs: number): Promise<string> {
    const { commands, keys, clock } = this.#init;
    const args = [timeFor(clock), node, String(ttlMs)];
    const holder = optional(await commands.run(CLAIM, [keys.claim(session)], args), "claim");
    if (holder === undefined) throw strange("claim");
    return holder;
  }

  async holder(session: string): Promise<string | undefined> {
    const { commands, keys, clock } = this.#init;
    return optional(await commands.run(GET, [keys.claim(session)], [timeFor(clock)]), "claim");
  }

  async release(session: string, node: string): Promise<void> {
    const { commands, keys, clock } = this.#init;
    await commands.run(UNCLAIM, [keys.claim(session)], [timeFor(clock), node]);
  }
}

/**
 * {@linkcode Documents} in Redis. They have an end as every key has: a year after they were put or read
 * last, and nodes read them when they join.
 */
export class RedisDocuments implements Documents {
  readonly #init: NodesInit;

  constructor(init: NodesInit) {
    this.#init = init;
  }

  async get(name: string): Promise<SharedDocument | undefined> {
    const { commands, keys } = this.#init;
    const reply = await commands.run(GET_DOCUMENT, [keys.document(name)], ["", `${DOCUMENT_MS}`]);
    if (!Array.isArray(reply)) throw strange("document");
    const [version, text]: unknown[] = reply;
    if (version === null) return undefined;
    if (typeof text !== "string") throw strange("document");
    return { version: integer(version, "document"), text };
  }

  async put(name: string, text: string, expected?: number): Promise<number | undefined> {
    const { commands, keys } = this.#init;
    const bytes = new TextEncoder().encode(text).length;
    if (bytes > MOST_DOCUMENT_BYTES) {
      throw new RangeError(`Put ${MOST_DOCUMENT_BYTES} bytes at most: ${bytes}`);
    }
    const args = ["", text, `${DOCUMENT_MS}`, expected === undefined ? "" : String(expected)];
    const version = await commands.run(PUT_DOCUMENT, [keys.document(name)], args);
    return version === null ? undefined : integer(version, "document");
  }
}

/** A text, or nothing. */
function optional(reply: unknown, what: string): string | undefined {
  if (reply === null) return undefined;
  if (typeof reply !== "string") throw strange(what);
  return reply;
}
