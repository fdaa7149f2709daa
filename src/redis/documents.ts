/**
 * Stores documents that all nodes share.
 *
 * @module
 */
import { type Documents, MOST_DOCUMENT_BYTES, type SharedDocument } from "../cluster/types.ts";
import type { RedisCommands } from "./clients/commands.ts";
import type { Keys } from "./keys.ts";
import { foreignData, integer } from "./replies.ts";
import { LONGEST_MS, script } from "./scripts/script.ts";

/**
 * Reads the version of a document. What no node writes is no obstacle to the next document: a key of
 * another type is deleted, and what is no version counts as 0. KEYS is a hash of `version` and `text`.
 */
const VERSION = `
local version = redis.pcall('HGET', KEYS[1], 'version')
if type(version) == 'table' then
  redis.call('DEL', KEYS[1])
  version = false
end
version = tonumber(version or 0) or 0
if not (version >= 0 and version < 2 ^ 53 - 1 and version % 1 == 0) then version = 0 end
`;

/**
 * Replaces a document only if it has the expected version; versions rise by one. ARGV: time, text, ttl, expected version or an empty string.
 */
const PUT_DOCUMENT = script(
  VERSION,
  `
if ARGV[4] ~= '' and tonumber(ARGV[4]) ~= version then return false end
redis.call('HSET', KEYS[1], 'version', int(version + 1), 'text', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return int(version + 1)`,
);

/** Reads a document and extends its life. ARGV: time, ttl. */
const GET_DOCUMENT = script(
  VERSION,
  `
if redis.call('PEXPIRE', KEYS[1], ARGV[2]) == 0 then return {false, false} end
return {int(version), redis.call('HGET', KEYS[1], 'text') or ''}`,
);

/** Configures {@linkcode RedisDocuments}. */
export interface DocumentsInit {
  readonly commands: RedisCommands;
  readonly keys: Keys;
}

/**
 * Implements {@linkcode Documents} in Redis. A document expires a year after it was last written or
 * read, as every key must expire; nodes read the documents when they join.
 */
export class RedisDocuments implements Documents {
  readonly #init: DocumentsInit;

  constructor(init: DocumentsInit) {
    this.#init = init;
  }

  async get(name: string): Promise<SharedDocument | undefined> {
    const { commands, keys } = this.#init;
    const reply = await commands.run(GET_DOCUMENT, [keys.document(name)], ["", `${LONGEST_MS}`]);
    if (!Array.isArray(reply)) throw foreignData("document");
    const [version, text]: unknown[] = reply;
    if (version === null) return undefined;
    if (typeof text !== "string") throw foreignData("document");
    return { version: integer(version, "document"), text };
  }

  async put(name: string, text: string, expected?: number): Promise<number | undefined> {
    const { commands, keys } = this.#init;
    const bytes = new TextEncoder().encode(text).length;
    if (bytes > MOST_DOCUMENT_BYTES) {
      throw new RangeError(`Put ${MOST_DOCUMENT_BYTES} bytes at most: ${bytes}`);
    }
    const args = ["", text, `${LONGEST_MS}`, expected === undefined ? "" : String(expected)];
    const version = await commands.run(PUT_DOCUMENT, [keys.document(name)], args);
    return version === null ? undefined : integer(version, "document");
  }
}
