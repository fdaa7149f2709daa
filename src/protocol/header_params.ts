/**
 * The arguments of a tool that 2026 clients repeat in `Mcp-Param-*` headers, as its schema marks them
 * (2026-07-28, Streamable HTTP, Custom Headers from Tool Parameters).
 *
 * @module
 */
import type { HeaderParam } from "./headers.ts";
import { isObject, type JsonObject } from "./jsonrpc.ts";

/** The member of a property's schema that names the header. */
const MARK = "x-mcp-header";
/** A header's name is a token (RFC 9110 §5.6.2). */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/**
 * The marked arguments of a tool.
 *
 * @param schema The schema of its arguments
 * @throws {TypeError} If a mark is no header's name, is given twice, or marks something that is
 * neither a text, an integer nor a boolean
 */
export function headerParamsOf(schema: JsonObject | undefined): readonly HeaderParam[] {
  const found: HeaderParam[] = [];
  collect(schema, [], found);
  if (countMarks(schema) > found.length) {
    throw new TypeError(
      `Mark only properties of the arguments, not what is in their parts: "${MARK}"`,
    );
  }
  const names = new Set<string>();
  for (const { header } of found) {
    const name = header.toLowerCase();
    if (names.has(name)) throw new TypeError(`Give each "${MARK}" once: ${header}`);
    names.add(name);
  }
  return found;
}

function collect(
  schema: JsonObject | undefined,
  path: readonly string[],
  found: HeaderParam[],
): void {
  const properties = schema?.properties;
  if (!isObject(properties)) return;
  for (const [key, property] of Object.entries(properties)) {
    if (!isObject(property)) continue;
    const own = [...path, key];
    if (property[MARK] !== undefined) found.push(paramOf(property, own));
    collect(property, own, found);
  }
}

/** How often anything in a schema is marked, wherever it is. */
function countMarks(part: unknown): number {
  if (typeof part !== "object" || part === null) return 0;
  const own = isObject(part) && typeof part[MARK] === "string" ? 1 : 0;
  return Object.values(part).reduce((sum: number, inner) => sum + countMarks(inner), own);
}

function paramOf({ [MARK]: header, type }: JsonObject, path: readonly string[]): HeaderParam {
  if (typeof header !== "string" || !TOKEN.test(header)) {
    throw new TypeError(`Give a header's name as "${MARK}" of "${path.join(".")}"`);
  }
  if (type !== "string" && type !== "integer" && type !== "boolean") {
    throw new TypeError(`Mark only texts, integers and booleans by "${MARK}": "${path.join(".")}"`);
  }
  return { header, path, type };
}
