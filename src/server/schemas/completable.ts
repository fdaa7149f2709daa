/**
 * Attaches completers to schemas.
 *
 * @module
 */
import { isObject } from "../../protocol/jsonrpc.ts";
import type { StandardSchema } from "./standard_schema.ts";
import type { Completer } from "../types.ts";

/** Keys the completer of a schema. Registered, so that two copies of the module share it. */
const COMPLETER = Symbol.for("@mooring/mcp/completer");

/**
 * Makes an argument of a prompt completable (2025-11-25, Completion).
 *
 * @param schema The argument's schema
 * @param complete Suggests values, the best first
 * @returns The same schema. A schema derived from it afterwards loses the completer, except by
 * `optional()`
 * @throws {TypeError} If `complete` is not a function
 *
 * @example
 * ```ts
 * import { completable, McpServer } from "@mooring/mcp";
 * import { z } from "zod";
 *
 * const server = new McpServer({ name: "demo", version: "1.0.0" });
 * const languages = ["python", "typescript"];
 * server.registerPrompt("review", {
 *   argsSchema: z.object({
 *     language: completable(z.string(), (typed) => languages.filter((l) => l.startsWith(typed))),
 *   }),
 * }, ({ language }) => `Review this ${language}`);
 * ```
 */
export function completable<S extends StandardSchema>(schema: S, complete: Completer): S {
  if (typeof complete !== "function") {
    throw new TypeError(`Give a function as the completer: ${typeof complete}`);
  }
  Object.defineProperty(schema, COMPLETER, { value: complete, configurable: true });
  return schema;
}

/**
 * Returns the completers of an object schema's fields, by name. Takes a {@linkcode Shape}, or a
 * schema with a `shape`, as zod's have.
 */
export function completersOf(schema: object | undefined): Map<string, Completer> {
  const completers = new Map<string, Completer>();
  const fields: unknown = schema && "shape" in schema ? schema.shape : schema;
  if (!isObject(fields)) return completers;
  for (const [name, field] of Object.entries(fields)) {
    const completer = completerOf(field);
    if (completer !== undefined) completers.set(name, completer);
  }
  return completers;
}

function completerOf(field: unknown): Completer | undefined {
  if ((typeof field !== "object" && typeof field !== "function") || field === null) {
    return undefined;
  }
  const own: unknown = Reflect.get(field, COMPLETER);
  // Only completable() sets it
  if (own !== undefined) return own as Completer;
  // Where zod keeps the inner schema of an optional one
  const def: unknown = Reflect.get(field, "def");
  return isObject(def) && def.type === "optional" ? completerOf(def.innerType) : undefined;
}
