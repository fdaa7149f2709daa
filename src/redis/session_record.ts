/**
 * Encodes session records for Redis and decodes them.
 *
 * @module
 */
import { isObject } from "../protocol/jsonrpc.ts";
import type { ClientFacts } from "../protocol/exchange.ts";
import { isLogLevel } from "../protocol/shapes.ts";
import { isVersion } from "../protocol/versions.ts";
import type { SessionRecord } from "../sessions/types.ts";
import { foreignData, parseJson } from "./replies.ts";

/**
 * The form of the encoded fields. A form that older nodes would misread gets a higher number: they
 * then refuse the record, and newer nodes serve its session. Fields may be added without.
 */
const FORM = 1;

/** Encodes the fields of a session's record that never change. */
export function writeRecord({ id, createdAt, protocolVersion, client }: SessionRecord): string {
  return JSON.stringify({ form: FORM, id, createdAt, protocolVersion, client });
}

/**
 * Decodes a record from its encoded fields and those that may have changed.
 *
 * @throws {Error} If a newer version wrote it in a form that this one doesn't know, or if the data
 * can't be a record of this store
 */
export function readRecord(
  id: string,
  text: string,
  owner: string | undefined,
  init: string,
  level: string,
): SessionRecord {
  const what = "session";
  const value = parseJson(text, what);
  if (!isObject(value) || value.id !== id) throw foreignData(what);
  // The first records have none.
  const { form = FORM } = value;
  if (form !== FORM) throw new Error(`Update this node: a newer one wrote the session: ${form}`);
  const { createdAt, protocolVersion, client } = value;
  const logLevel = isLogLevel(level) ? level : undefined;
  if (
    typeof createdAt !== "number" || !isClient(client) ||
    protocolVersion !== undefined && !isVersion(protocolVersion) ||
    level !== "" && logLevel === undefined
  ) throw foreignData(what);
  return { id, owner, createdAt, protocolVersion, client, initialized: init === "1", logLevel };
}

function isClient(value: unknown): value is ClientFacts {
  return isObject(value) && isObject(value.capabilities) &&
    (value.info === undefined || isObject(value.info) && typeof value.info.name === "string" &&
        typeof value.info.version === "string");
}
