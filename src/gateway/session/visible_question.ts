/**
 * Makes invisible characters visible in what a client shows to its user of an upstream's question.
 *
 * @module
 */
import type { JsonObject } from "../../../mod.ts";
import { escapeInvisible, isObject } from "../../kit.ts";

/** The members of a question whose text is shown. All others are data, which stays unchanged. */
const SHOWN: ReadonlySet<string> = new Set([
  "message",
  "title",
  "description",
  "enumNames",
  "systemPrompt",
  "text",
]);
/** Lists members with data in which the same names have another meaning. */
const DATA: ReadonlySet<string> = new Set(["_meta", "input", "structuredContent", "metadata"]);
/** The most levels of a question that are looked at. No client shows more. */
const DEEPEST = 10;

/** Returns a question's parameters, in which the user sees everything that is in a text. */
export function visibleQuestion(params: JsonObject): JsonObject {
  const visible = visibleMembers(params, 0);
  // As a client would write the address that it opens, without any such character
  if (typeof params.url === "string" && escapeInvisible(params.url) !== params.url) {
    return { ...visible, url: URL.parse(params.url)?.href ?? escapeInvisible(params.url) };
  }
  return visible;
}

function visibleMembers(value: JsonObject, depth: number): JsonObject {
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) =>
      DATA.has(key) ? [key, member] : [key, visibleValue(member, SHOWN.has(key), depth + 1)]
    ),
  );
}

function visibleValue(value: unknown, shown: boolean, depth: number): unknown {
  if (typeof value === "string") return shown ? escapeInvisible(value) : value;
  if (depth >= DEEPEST) return value;
  if (Array.isArray(value)) return value.map((each) => visibleValue(each, shown, depth + 1));
  return isObject(value) ? visibleMembers(value, depth) : value;
}
