/**
 * What lets pages of allowed origins call the endpoint and read its answers (Fetch, CORS protocol).
 *
 * @module
 */
import type { GateSettings } from "./gates/options.ts";
import { originAllowed } from "./gates/origin.ts";

const METHODS = "GET, POST, DELETE";
const REQUEST_HEADERS = [
  "accept",
  "authorization",
  "content-type",
  "last-event-id",
  "mcp-method",
  "mcp-name",
  "mcp-protocol-version",
  "mcp-session-id",
];
const EXPOSED_HEADERS = "Mcp-Session-Id, WWW-Authenticate, Retry-After";
/** Headers that tools name in their input schemas (2026-07-28), so nobody can list them ahead. */
const PARAM_HEADER = /^mcp-param-[a-z0-9_-]+$/;
const MAX_AGE_S = 600;

/** The Allow header's value. */
export function allowedMethods(cors: boolean): string {
  return cors ? `${METHODS}, OPTIONS` : METHODS;
}

/** What pages may send, besides the headers that the Fetch standard lets everybody send. */
export function allowedRequestHeaders(required: string | undefined): string {
  const names = new Set(REQUEST_HEADERS);
  if (required !== undefined) names.add(required);
  return [...names].join(", ");
}

/** Answers an OPTIONS request. The origin, where there is one, has passed its gate. */
export function preflight(
  request: Request,
  origin: string | null,
  settings: GateSettings,
): Response {
  const headers = new Headers({ "allow": settings.allow });
  if (origin === null) return new Response(null, { status: 204, headers });
  const asked = request.headers.get("access-control-request-headers")?.toLowerCase().split(",");
  const params = asked?.map((name) => name.trim()).filter((name) => PARAM_HEADER.test(name)) ?? [];
  headers.set("access-control-allow-origin", origin);
  headers.set("access-control-allow-methods", METHODS);
  headers.set("access-control-allow-headers", [settings.requestHeaders, ...params].join(", "));
  headers.set("access-control-max-age", `${MAX_AGE_S}`);
  headers.set("vary", "Origin, Access-Control-Request-Headers");
  return new Response(null, { status: 204, headers });
}

/** Lets the page that sent a request read the response, if its origin is allowed. */
export function withCors(request: Request, response: Response, settings: GateSettings): Response {
  if (!settings.cors) return response;
  const origin = request.headers.get("origin");
  if (origin === null || !originAllowed(request, origin, settings)) return response;
  try {
    expose(response.headers, origin);
    return response;
  } catch {
    // A response that came from `fetch` has headers that can't be changed.
    const copy = new Response(response.body, response);
    expose(copy.headers, origin);
    return copy;
  }
}

function expose(headers: Headers, origin: string): void {
  headers.set("access-control-allow-origin", origin);
  headers.set("access-control-expose-headers", EXPOSED_HEADERS);
  const vary = headers.get("vary");
  if (vary === null || !/(^|,)\s*(origin|\*)\s*(,|$)/i.test(vary)) headers.append("vary", "Origin");
}
