/**
 * Finds the tool arguments that clients of the 2026 era repeat in `Mcp-Param-*` headers, as the
 * tool's schema marks them (2026-07-28, Streamable HTTP, Custom Headers from Tool Parameters).
 *
 * @module
 */
import type { HeaderParam } from "./headers.ts";
import { isObject, type JsonObject } from "./jsonrpc.ts";

/** The name of the member of a property's schema that names the header. */
const MARK = "x-mcp-header";
/** Matches a header name, which is a token (RFC 9110 §5.6.2). */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/**
 * Returns the marked arguments of a tool.
 *
 * @param schema The schema of the tool's arguments
 * @throws {TypeError} If a mark is not a header name, is given twice, or is not on a property of
 * type string, integer or boolean
 */
export function headerParamsOf(schema: JsonObject | undefined): readonly HeaderParam[] {
  const found: HeaderParam[] = [];
  collect(schema, [], found);
  if (countMarks(schema) > found.length) {
    throw new TypeError(
      `Use "${MARK}" only on properties of the arguments and of their nested objects`,
    );
  }
  const names = new Set<string>();
  for (const { header } of found) {
    const name = header.toLowerCase();
    if (names.has(name)) throw new TypeError(`Use each "${MARK}" once: ${header}`);
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

/** Counts the marks in a schema, at any depth. */
function countMarks(part: unknown): number {
  if (typeof part !== "object" || part === null) return 0;
  const own = isObject(part) && typeof part[MARK] === "string" ? 1 : 0;
  return Object.values(part).reduce((sum: number, inner) => sum + countMarks(inner), own);
}

function paramOf({ [MARK]: header, type }: JsonObject, path: readonly string[]): HeaderParam {
  if (typeof header !== "string" || !TOKEN.test(header)) {
    throw new TypeError(
      `Give a header name as "${MARK}" of "${path.join(".")}": ${JSON.stringify(header)}`,
    );
  }
  if (type !== "string" && type !== "integer" && type !== "boolean") {
    throw new TypeError(
      `Use "${MARK}" only on strings, integers and booleans: "${path.join(".")}"`,
    );
  }
  return { header, path, type };
}
