/**
 * Publishes a server card: what clients read about a server before they connect, and where they find it.
 * The proposal is SEP-2127 with its experimental extension, and may change.
 *
 * @module
 */
import { checkNames } from "../internal/known_names.ts";
import { isSamePath, pathOf } from "../http/gates/path.ts";
import type { RequestHead } from "../http/inbound.ts";
import { type Reply, reply } from "../http/reply.ts";
import { respond } from "../http/respond.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { Implementation } from "../protocol/shapes.ts";
import { type ProtocolVersion, VERSIONS } from "../protocol/versions.ts";
import {
  inputsOption,
  type NamedInput,
  PUBLIC_NAMES,
  type PublicInfo,
  publicInfo,
} from "./public_info.ts";

/** Options for {@linkcode serverCard}. */
export interface ServerCardOptions extends PublicInfo {
  /** The endpoint's URL, as clients use it. */
  readonly url: string;
  /** The description of the headers that clients send, such as `Authorization`. */
  readonly headers?: readonly NamedInput[];
  /**
   * Lists the protocol versions that the endpoint serves: the option `versions` of its handler.
   *
   * @default All versions
   */
  readonly versions?: readonly ProtocolVersion[];
  /**
   * Says whether the handler also serves a catalog with this one server, at the host's
   * `/.well-known/ai-catalog.json`.
   *
   * @default {true}
   */
  readonly catalog?: boolean;
}

/** A server card: the type of a handler's option `serverCard`. */
export interface ServerCard {
  /** The card. */
  readonly card: JsonObject;
  /** The URL of the card. */
  readonly url: string;
  /** The entry that names the card in a catalog of several servers. */
  readonly entry: JsonObject;
  /**
   * Answers a request for the card or the catalog as data; returns `undefined` for other requests. A
   * handler calls this.
   *
   * @param path The path of the endpoint, if a proxy rewrites the one in the URL
   */
  reply(request: RequestHead, path?: string): Reply | undefined;
  /**
   * Answers a request for the card or the catalog; returns `undefined` for other requests. Call it
   * yourself if their paths are not routed to the handler.
   */
  respond(request: Request): Response | undefined;
}

const SCHEMA = "https://static.modelcontextprotocol.io/schemas/v1/server-card.schema.json";
const CARD_TYPE = "application/mcp-server-card+json";
const CATALOG_TYPE = "application/ai-catalog+json";
const CATALOG_PATH = "/.well-known/ai-catalog.json";
const METHODS = "GET, HEAD, OPTIONS";
/** Allows every origin: what is published is the same for everybody. */
const HEADERS = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "GET",
  "access-control-allow-headers": "Content-Type, If-None-Match",
  "access-control-expose-headers": "ETag",
  "cache-control": "public, max-age=3600",
};

/**
 * Creates the card of a server. A handler with the option `serverCard` serves it without authentication,
 * the same to everybody, at the endpoint's URL with `/server-card` at its end. It says who the server is,
 * and how to connect; tools, resources and prompts are not in it.
 *
 * Experimental: the proposal (SEP-2127) is not accepted, and this follows its changes.
 *
 * @example
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { serverCard } from "@mooring/mcp/discovery";
 *
 * const server = new McpServer({ name: "library", version: "1.0.0", title: "The library" });
 * const card = serverCard(server.serverInfo, {
 *   name: "com.example/library",
 *   description: "Finds and lends books.",
 *   url: "https://api.example.com/mcp",
 * });
 * await using handler = createMcpHandler(server, { path: "/mcp", serverCard: card });
 *
 * const found = await handler(new Request("https://api.example.com/mcp/server-card"));
 * console.assert((await found.json()).title === "The library");
 * ```
 *
 * @param info What the server says about itself
 * @throws {TypeError} If an option is missing or has the wrong form, or would publish a secret
 */
export function serverCard(info: Implementation, options: ServerCardOptions): ServerCard {
  checkNames("serverCard()", options, {
    ...PUBLIC_NAMES,
    url: true,
    headers: true,
    versions: true,
    catalog: true,
  });
  const { headers, versions = Object.keys(VERSIONS), catalog = true } = options;
  const endpoint = URL.parse(options.url);
  if (endpoint === null || !/^https?:$/.test(endpoint.protocol)) {
    throw new TypeError(`Give the endpoint's URL as "url": ${options.url}`);
  }
  if (endpoint.username !== "" || endpoint.password !== "") {
    throw new TypeError('Leave user and password out of "url"');
  }
  if (!Array.isArray(versions) || versions.some((version) => !Object.hasOwn(VERSIONS, version))) {
    throw new TypeError(`Give versions that are served as "versions": ${versions}`);
  }
  const card: JsonObject = {
    $schema: SCHEMA,
    ...publicInfo(info, options),
    remotes: [{
      type: "streamable-http",
      url: options.url,
      ...headers !== undefined && { headers: inputsOption("headers", headers) },
      supportedProtocolVersions: [...versions],
    }],
  };
  const path = cardPath(endpoint.pathname);
  const url = `${endpoint.origin}${path}`;
  const entry: JsonObject = { identifier: airName(String(card.name)), type: CARD_TYPE, url };
  const cardReply = publicDocument(CARD_TYPE, card);
  const catalogReply = catalog
    ? publicDocument(CATALOG_TYPE, { specVersion: "1.0", entries: [entry] })
    : undefined;
  const replyTo = (request: RequestHead, served?: string): Reply | undefined => {
    const asked = pathOf(request.url);
    if (isSamePath(asked, path)) return cardReply(request);
    if (served !== undefined && isSamePath(asked, cardPath(served))) return cardReply(request);
    return asked === CATALOG_PATH ? catalogReply?.(request) : undefined;
  };
  return {
    card,
    url,
    entry,
    reply: replyTo,
    respond(request) {
      const answer = replyTo(request);
      return answer && respond(answer);
    },
  };
}

/** Returns the path of the card of an endpoint. */
function cardPath(path: string): string {
  return `${path.endsWith("/") ? path.slice(0, -1) : path}/server-card`;
}

/** Returns the name of a server in catalogs: `com.example/weather` is `urn:air:example.com:mcp:weather`. */
function airName(name: string): string {
  const [domain = "", own = ""] = name.split("/");
  return `urn:air:${domain.split(".").reverse().join(".")}:mcp:${own}`;
}

/** Returns a function that answers requests for a public document. */
function publicDocument(type: string, document: JsonObject): (request: RequestHead) => Reply {
  const text = JSON.stringify(document);
  const headers = Object.freeze({ ...HEADERS, "content-type": type, "etag": entityTag(text) });
  return ({ method, headers: asked }) => {
    if (method === "OPTIONS") return reply(204, { ...HEADERS, allow: METHODS }, null);
    if (method !== "GET" && method !== "HEAD") return reply(405, { allow: METHODS }, null);
    if (hasTag(asked.get("if-none-match"), headers.etag)) return reply(304, headers, null);
    return reply(200, headers, method === "GET" ? text : null);
  };
}

/** Tells whether If-None-Match names an entity tag (RFC 9110 §13.1.2). */
function hasTag(header: string | null, tag: string): boolean {
  if (header === null) return false;
  const tags = header.split(",").map((each) => each.trim().replace(/^W\//, ""));
  return tags.includes("*") || tags.includes(tag);
}

/** Returns an entity tag for a text: FNV-1a, which tells versions apart and needs no promise. */
function entityTag(text: string): string {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193) >>> 0;
  }
  return `"${text.length.toString(36)}-${hash.toString(36)}"`;
}
