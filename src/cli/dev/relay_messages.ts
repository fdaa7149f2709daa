/**
 * Reads what `mooring dev` needs to know of messages, and writes those that are its own.
 *
 * @module
 */
import type { JsonObject } from "../../../mod.ts";
import { isObject } from "../../kit.ts";

/** A message, as far as the relay reads it. */
export interface RelayMessage {
  readonly method: string | undefined;
  readonly id: string | number | undefined;
  readonly params: unknown;
}

/** Returns the message in a text; `undefined` if there is none. */
export function parseMessage(text: string | undefined): RelayMessage | undefined {
  try {
    const value: unknown = JSON.parse(text ?? "");
    if (!isObject(value) || value["jsonrpc"] !== "2.0") return undefined;
    const { method, id, params } = value;
    return {
      method: typeof method === "string" ? method : undefined,
      id: typeof id === "string" || typeof id === "number" ? id : undefined,
      params,
    };
  } catch {
    return undefined;
  }
}

/** Returns what the answer to `initialize` says that the server has. */
export function capabilitiesIn(text: string): JsonObject {
  const result = resultIn(text);
  const found = result?.["capabilities"];
  return isObject(found) ? found : {};
}

/** Returns the protocol version in the answer to `initialize`. */
export function versionIn(text: string): string | undefined {
  const found = resultIn(text)?.["protocolVersion"];
  return typeof found === "string" ? found : undefined;
}

/** Returns the result in an answer: JSON, or the last event of a stream. */
function resultIn(text: string): JsonObject | undefined {
  const json = text.startsWith("{") ? text : /^data: ?(\{.*\})\r?$/m.exec(text)?.[1] ?? "";
  try {
    const value: unknown = JSON.parse(json);
    return isObject(value) && isObject(value["result"]) ? value["result"] : undefined;
  } catch {
    return undefined;
  }
}

/** Creates the answer to a request that no server answers. */
export function errorMessage(id: string | number | undefined, message: string): object {
  return { jsonrpc: "2.0", id: id ?? null, error: { code: -32603, message } };
}

/**
 * Returns the messages in a text, each as a text: one, those of a batch, or none in what is no message, such as
 * a form with a password.
 */
export function messageTexts(text: string): readonly string[] {
  if (parseMessage(text) !== undefined) return [text];
  try {
    const value: unknown = text.trimStart().startsWith("[") ? JSON.parse(text) : [];
    return Array.isArray(value)
      ? value.map((each) => JSON.stringify(each)).filter((each) => parseMessage(each) !== undefined)
      : [];
  } catch {
    return [];
  }
}
