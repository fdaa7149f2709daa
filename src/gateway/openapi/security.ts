/**
 * Reads the security schemes of an OpenAPI document: where each credential goes.
 *
 * @module
 */
import type { JsonObject } from "../../../mod.ts";
import { isObject, quote } from "../../kit.ts";
import type { References } from "./references.ts";

/** Where a credential goes. */
export type CredentialPlace =
  | { readonly in: "bearer" }
  | { readonly in: "basic" }
  | { readonly in: "header" | "query" | "cookie"; readonly name: string };

/** The security schemes of a document by their names; those that can't be used with the reason. */
export type SecuritySchemes = ReadonlyMap<string, CredentialPlace | string>;

const TOKEN = /^[!#$%&'*+.^`|~0-9A-Za-z-]+$/;

/** Reads `components.securitySchemes`. */
export function securitySchemes(document: JsonObject, references: References): SecuritySchemes {
  const { components } = document;
  const given = isObject(components) ? components.securitySchemes : undefined;
  if (!isObject(given)) return new Map();
  return new Map(
    Object.entries(given).map(([name, scheme]) => [name, placeOf(references.object(scheme))]),
  );
}

function placeOf(scheme: JsonObject | undefined): CredentialPlace | string {
  const { type, scheme: kind, in: where, name } = scheme ?? {};
  if (type === "oauth2" || type === "openIdConnect") return { in: "bearer" };
  if (type === "http") {
    const way = String(kind).toLowerCase();
    if (way === "bearer" || way === "basic") return { in: way };
    return `the HTTP authentication ${quote(way)}`;
  }
  if (type !== "apiKey") return `the type ${quote(String(type))}`;
  if (typeof name !== "string" || name === "") return "a key without a name";
  if (where === "query") return { in: "query", name };
  if (where === "header" && TOKEN.test(name)) return { in: "header", name: name.toLowerCase() };
  if (where === "cookie" && TOKEN.test(name)) return { in: "cookie", name };
  return `a key in ${quote(String(where))}`;
}

/**
 * Reads a `security` of the document or an operation: lists of the schemes that suffice together. An empty
 * list needs none; `undefined` stands for a document that says nothing.
 */
export function requirements(security: unknown): readonly (readonly string[])[] | undefined {
  if (!Array.isArray(security)) return undefined;
  return security.length === 0
    ? [[]]
    : security.filter(isObject).map((alternative) => Object.keys(alternative));
}
