/**
 * Checks of what Redis answers: other programs may write under the same prefix, and nothing of theirs may
 * pass for ours.
 *
 * @module
 */
import { isObject } from "../protocol/jsonrpc.ts";
import type { ClientFacts } from "../protocol/exchange.ts";
import { LOG_LEVELS } from "../protocol/shapes.ts";
import { isVersion } from "../protocol/versions.ts";
import type { SessionRecord } from "../sessions/types.ts";

/** The error for something that can't be ours. */
export function strange(what: string): Error {
  return new Error(`Keep other programs out of the prefix in Redis: strange ${what}`);
}

/** A list of texts, where numbers may stand for texts. */
export function texts(reply: unknown, what: string): string[] {
  if (!Array.isArray(reply)) throw strange(what);
  return reply.map((each: unknown) => {
    if (typeof each === "number") return String(each);
    if (typeof each !== "string") throw strange(what);
    return each;
  });
}

/** A whole number that is not negative. */
export function integer(reply: unknown, what: string): number {
  const number = typeof reply === "string" && reply !== "" ? Number(reply) : reply;
  if (typeof number !== "number" || !Number.isSafeInteger(number) || number < 0) {
    throw strange(what);
  }
  return number;
}

/** JSON. */
export function json(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw strange(what);
  }
}

/** What is written of a session's record once and never changes. */
export function writeRecord({ id, createdAt, protocolVersion, client }: SessionRecord): string {
  return JSON.stringify({ id, createdAt, protocolVersion, client });
}

/** A record, from what was written once and what may have changed since. */
export function readRecord(
  id: string,
  text: string,
  owner: string | undefined,
  init: string,
  level: string,
): SessionRecord {
  const what = "session";
  const value = json(text, what);
  if (!isObject(value) || value.id !== id) throw strange(what);
  const { createdAt, protocolVersion, client } = value;
  const logLevel = LOG_LEVELS.find((each) => each === level);
  if (
    typeof createdAt !== "number" || !isClient(client) ||
    protocolVersion !== undefined && !isVersion(protocolVersion) ||
    level !== "" && logLevel === undefined
  ) throw strange(what);
  return { id, owner, createdAt, protocolVersion, client, initialized: init === "1", logLevel };
}

function isClient(value: unknown): value is ClientFacts {
  return isObject(value) && isObject(value.capabilities) &&
    (value.info === undefined || isObject(value.info) && typeof value.info.name === "string" &&
        typeof value.info.version === "string");
}
