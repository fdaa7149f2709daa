/**
 * Adds CORS: lets web pages of allowed origins read responses (Fetch Standard, CORS protocol).
 *
 * @module
 */
import type { GateSettings } from "./gates/options.ts";
import { originAllowed } from "./gates/origin.ts";
import type { Inbound } from "./inbound.ts";
import { type Reply, reply } from "./reply.ts";

const METHODS = "GET, POST, DELETE";
const REQUEST_HEADERS = [
  "accept",
  "authorization",
  "content-type",
  "dpop",
  "last-event-id",
  "mcp-method",
  "mcp-name",
  "mcp-protocol-version",
  "mcp-session-id",
];
const EXPOSED_HEADERS = "Mcp-Session-Id, WWW-Authenticate, DPoP-Nonce, Retry-After";
/** Headers that tools name in their input schemas (2026-07-28), which can't be listed in advance. */
const PARAM_HEADER = /^mcp-param-[a-z0-9_-]+$/;
const MAX_AGE_S = 600;

/** Lists the served methods, for the Allow header. */
export function allowedMethods(cors: boolean): string {
  return cors ? `${METHODS}, OPTIONS` : METHODS;
}

/** Lists the request headers that pages may send, besides those that the Fetch Standard always allows. */
function allowedRequestHeaders(
  asked: string | null,
  { requiredHeader }: GateSettings,
): string {
  const names = new Set(REQUEST_HEADERS);
  if (requiredHeader !== undefined) names.add(requiredHeader.name);
  for (const name of asked?.toLowerCase().split(",") ?? []) {
    if (PARAM_HEADER.test(name.trim())) names.add(name.trim());
  }
  return [...names].join(", ");
}

/** Answers an OPTIONS request. Its origin, if any, has passed the Origin gate. */
export function preflight(inbound: Inbound, settings: GateSettings): Reply {
  const { origin } = inbound;
  const allow = allowedMethods(settings.cors);
  if (origin === null) return reply(204, { allow }, null);
  const asked = inbound.header("access-control-request-headers");
  return reply(204, {
    allow,
    "access-control-allow-origin": origin,
    "access-control-allow-methods": METHODS,
    "access-control-allow-headers": allowedRequestHeaders(asked, settings),
    "access-control-max-age": `${MAX_AGE_S}`,
    "vary": "Origin, Access-Control-Request-Headers",
  }, null);
}

/** Lets the page that sent a request read the reply, if its origin is allowed. */
export function withCors<R extends Reply>(inbound: Inbound, reply: R, settings: GateSettings): R {
  const { origin } = inbound;
  if (origin === null || !settings.cors || !originAllowed(inbound, origin, settings)) return reply;
  // What is public is the same for every page, so that caches may keep it
  if (reply.headers["access-control-allow-origin"] === "*") return reply;
  const { vary } = reply.headers;
  const varies = vary !== undefined && /(^|,)\s*(origin|\*)\s*(,|$)/i.test(vary);
  const headers = {
    ...reply.headers,
    "access-control-allow-origin": origin,
    "access-control-expose-headers": EXPOSED_HEADERS,
    ...!varies && { vary: vary === undefined ? "Origin" : `${vary}, Origin` },
  };
  return { ...reply, headers };
}
