/**
 * Schemas that know how to complete a value.
 *
 * @module
 */
import { isObject } from "../protocol/jsonrpc.ts";
import type { StandardSchema } from "./standard_schema.ts";
import type { Completer } from "./types.ts";

/** Where a schema keeps its completer. Registered, so that two copies of the module agree. */
const COMPLETER = Symbol.for("@mooring/mcp/completer");

/**
 * Makes an argument of a prompt completable.
 *
 * @param schema The argument's schema
 * @param complete Suggests values, the best first
 * @returns The same schema. What is derived from it afterwards, other than as optional, is not
 * completable any more
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
    throw new TypeError(`Give a function that completes: ${typeof complete}`);
  }
  Object.defineProperty(schema, COMPLETER, { value: complete, configurable: true });
  return schema;
}

/** The completers of an object schema's fields: of a shape, or of a schema that has one. */
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
  // Nobody but completable() sets it
  if (own !== undefined) return own as Completer;
  // How zod tells what an optional schema is made of
  const def: unknown = Reflect.get(field, "def");
  return isObject(def) && def.type === "optional" ? completerOf(def.innerType) : undefined;
}
