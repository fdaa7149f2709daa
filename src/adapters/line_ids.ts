/**
 * Reads the ids of JSON-RPC messages in lines, also of lines that are no valid messages.
 *
 * @module
 */
import { isObject, isRequestId, type RequestId } from "../protocol/jsonrpc.ts";

/** Returns the ids of the requests to which a message is the response, or a batch of messages. */
export function responseIds(text: string): RequestId[] {
  const value: unknown = JSON.parse(text);
  return (Array.isArray(value) ? value : [value]).flatMap((one) =>
    isObject(one) && one.method === undefined && isRequestId(one.id) ? [one.id] : []
  );
}

/** Returns the id of an invalid request, so that the client's call fails instead of waiting. */
export function idOfInvalid(line: Uint8Array): RequestId | undefined {
  const value = parse(new TextDecoder().decode(line));
  return isObject(value) && value.method !== undefined && isRequestId(value.id)
    ? value.id
    : undefined;
}

const ID = String.raw`"id"\s*:\s*(-?\d{1,16}|"[^"\\]{0,100}")`;
const ID_FIRST = new RegExp(String.raw`^\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?${ID}\s*,`);
const ID_LAST = new RegExp(String.raw`,\s*${ID}\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$`);

/**
 * Returns the id of a message of which only the beginning and the end are known: official clients write it
 * first or last.
 */
export function idOfCut(line: Uint8Array, end: Uint8Array): RequestId | undefined {
  const decoder = new TextDecoder();
  const [, id] = ID_FIRST.exec(decoder.decode(line.subarray(0, 256))) ??
    ID_LAST.exec(decoder.decode(end.subarray(-256))) ?? [];
  const value = id === undefined ? undefined : parse(id);
  return isRequestId(value) ? value : undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
