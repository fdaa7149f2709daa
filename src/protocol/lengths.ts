/**
 * Limits the texts of messages that are kept after a request, or that are sent to other nodes.
 *
 * @module
 */
import { isWithinBytes } from "../internal/utf8.ts";
import type { ClientFacts } from "./exchange.ts";
import { type Classified, isObject } from "./jsonrpc.ts";

/** Limits ids, tokens, names and reasons, in bytes of UTF-8. */
const NAME_BYTES = 1024;
/** Limits the URIs of resources, in bytes of UTF-8. */
const URI_BYTES = 8 * 1024;
/** Limits the description of a client as JSON, in bytes of UTF-8: sessions keep it. */
const CLIENT_BYTES = 16 * 1024;

/** A text that is too long. */
export interface TooLong {
  /** The name of the member of the message, or of the parameters after `params.`. */
  readonly member: string;
  /** The limit, in bytes of UTF-8. */
  readonly most: number;
}

/** Limits one member: a text, or an array of texts. */
interface Limit {
  /** Locates the member in the parameters. */
  readonly path: readonly string[];
  readonly most: number;
}

const PROGRESS_TOKEN: Limit = { path: ["_meta", "progressToken"], most: NAME_BYTES };
const URI: readonly Limit[] = [PROGRESS_TOKEN, { path: ["uri"], most: URI_BYTES }];
const TASK_ID: readonly Limit[] = [PROGRESS_TOKEN, { path: ["taskId"], most: NAME_BYTES }];
const ANY_METHOD: readonly Limit[] = [PROGRESS_TOKEN];

/** The limited members of the parameters, for each method that has more than a progress token. */
const LIMITS: ReadonlyMap<string, readonly Limit[]> = new Map([
  ["notifications/cancelled", [
    { path: ["requestId"], most: NAME_BYTES },
    { path: ["reason"], most: NAME_BYTES },
  ]],
  ["notifications/progress", [{ path: ["progressToken"], most: NAME_BYTES }]],
  ["resources/subscribe", URI],
  ["resources/unsubscribe", URI],
  ["subscriptions/listen", [
    PROGRESS_TOKEN,
    { path: ["notifications", "resourceSubscriptions"], most: URI_BYTES },
  ]],
  ["tasks/get", TASK_ID],
  ["tasks/update", TASK_ID],
  ["tasks/cancel", TASK_ID],
]);

/** Tells whether a JSON text is so short that no text in it is too long. */
export function isShort(length: number): boolean {
  return length * 3 <= NAME_BYTES;
}

/**
 * Returns a message that says how to shorten a client's description, or `undefined`.
 *
 * @param bodyLength The length of the body that contains it: in a short one it can't be too long
 */
export function clientTooLong(client: ClientFacts, bodyLength: number): string | undefined {
  if (bodyLength * 3 <= CLIENT_BYTES) return undefined;
  if (isWithinBytes(JSON.stringify(client), CLIENT_BYTES)) return undefined;
  return `Send less about the client and its capabilities: at most ${CLIENT_BYTES} bytes`;
}

/** Returns the first text of a message that is too long, or `undefined`. */
export function findTooLong({ kind, message }: Classified): TooLong | undefined {
  if (kind !== "notification" && !isWithin(message.id, NAME_BYTES)) {
    return { member: "id", most: NAME_BYTES };
  }
  if (kind === "response") return undefined;
  const { method, params } = message;
  if (!isWithin(method, NAME_BYTES)) return { member: "method", most: NAME_BYTES };
  if (params === undefined) return undefined;
  for (const { path, most } of LIMITS.get(method) ?? ANY_METHOD) {
    if (!isWithin(memberAt(params, path), most)) {
      return { member: `params.${path.join(".")}`, most };
    }
  }
  return undefined;
}

function memberAt(params: unknown, path: readonly string[]): unknown {
  let value = params;
  for (const key of path) {
    if (!isObject(value)) return undefined;
    value = value[key];
  }
  return value;
}

/** Tells whether a text, or each text of an array, is within a limit. Other values are. */
function isWithin(value: unknown, most: number): boolean {
  if (typeof value === "string") return isWithinBytes(value, most);
  if (!Array.isArray(value)) return true;
  for (const part of value) {
    if (typeof part === "string" && !isWithinBytes(part, most)) return false;
  }
  return true;
}
