/**
 * Finds the URL that the operations of an OpenAPI document are called at.
 *
 * @module
 */
import type { JsonObject } from "../../../mod.ts";
import { isObject, quote } from "../../kit.ts";

/** Says that there is no URL to call, and what to give instead. */
export class ServerError extends Error {}

/** Where a document is from, and what the operator says. */
export interface ServerOptions {
  /** The operator's URL, which replaces those of the document. */
  readonly baseUrl: string | undefined;
  /** The URL that the document was fetched from. */
  readonly documentUrl: string | undefined;
}

/**
 * Returns the URL of the first server of a list, without a slash at its end.
 *
 * A document from the network may only name servers of its own origin: it must not choose where the
 * gateway sends requests and credentials.
 *
 * @throws {ServerError} If there is none that may be called
 */
export function serverUrl(servers: unknown, { baseUrl, documentUrl }: ServerOptions): string {
  if (baseUrl !== undefined) return baseUrl;
  const [first] = Array.isArray(servers) && servers.length > 0 ? servers : [{ url: "/" }];
  const text = isObject(first) && typeof first.url === "string" ? withVariables(first) : "";
  const url = URL.parse(text, documentUrl);
  if (url === null) {
    throw new ServerError(`Give "baseUrl": the document's server has no host: ${quote(text)}`);
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new ServerError(
      `Give "baseUrl": the document's server isn't one of HTTP: ${url.protocol}`,
    );
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw new ServerError(`Give "baseUrl": the document's server has more than a path`);
  }
  if (documentUrl !== undefined && new URL(documentUrl).origin !== url.origin) {
    throw new ServerError(
      `Give "baseUrl", which says where to send requests: the document is from another origin ` +
        `than its server ${url.origin}`,
    );
  }
  return url.href.replace(/\/+$/, "");
}

/** Replaces the variables of a server's URL by their defaults. */
function withVariables({ url, variables }: JsonObject): string {
  return String(url).replace(/\{([^{}]*)\}/g, (_whole, name: string) => {
    const known = isObject(variables) && Object.hasOwn(variables, name)
      ? variables[name]
      : undefined;
    if (isObject(known) && typeof known.default === "string") return known.default;
    throw new ServerError(
      `Give "baseUrl": the variable ${quote(name)} of the document's server has no default`,
    );
  });
}
