/**
 * Makes the one function that answers every request of an endpoint.
 *
 * @module
 */
import { isResponse } from "../internal/whole.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { principalOf } from "../auth/authenticate.ts";
import { withCors } from "../http/cors.ts";
import { readBody } from "../http/gates/body.ts";
import { passBody, type Passed, passHead } from "../http/gates/order.ts";
import { refusal } from "../http/reply.ts";
import { ErrorCode } from "../protocol/errors.ts";
import type { Dispatcher, Principal } from "../protocol/exchange.ts";
import { ownerKey } from "../sessions/owner.ts";
import { drainOf } from "./drain.ts";
import { Endpoint } from "./endpoint.ts";
import { eraOf } from "./era.ts";
import { overHttp } from "./forward_http.ts";
import { pin } from "./forwarded.ts";
import { holdOpen } from "./hold_open.ts";
import { hostOf } from "./host.ts";
import { postModern } from "./modern_post.ts";
import { versionHeader } from "./lookup.ts";
import { settingsOf } from "./options.ts";
import { hear } from "./peers.ts";
import { permit } from "./permit.ts";
import { remove } from "./sessionful_delete.ts";
import { get } from "./sessionful_get.ts";
import { post, type PostInit } from "./sessionful_post.ts";
import { countLive, notifySession, sessionsOf } from "./sessions_api.ts";
import { internalError } from "./responses.ts";
import { shutDown } from "./shutdown.ts";
import type { McpHandler, McpHandlerOptions } from "./types.ts";

/** How long running requests may go on after `close()`, in milliseconds. */
const GRACE_MS = 5_000;

/**
 * Makes an endpoint: one function from `Request` to `Response` that serves a dispatcher, such as an
 * `McpServer`, over Streamable HTTP.
 *
 * @example
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 *
 * const server = new McpServer({ name: "demo", version: "1.0.0" });
 * server.registerTool("hello", { description: "Greets." }, () => "Hello!");
 * await using handler = createMcpHandler(server);
 *
 * const response = await handler(
 *   new Request("http://localhost/mcp", {
 *     method: "POST",
 *     headers: { "content-type": "application/json" },
 *     body: JSON.stringify({
 *       jsonrpc: "2.0",
 *       id: 1,
 *       method: "initialize",
 *       params: {
 *         protocolVersion: "2025-11-25",
 *         capabilities: {},
 *         clientInfo: { name: "example", version: "1.0.0" },
 *       },
 *     }),
 *   }),
 * );
 * console.assert(response.headers.has("mcp-session-id"));
 * ```
 *
 * @param dispatcher What is served
 * @param options How it is served
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If a number is out of range
 */
export function createMcpHandler(
  dispatcher: Dispatcher,
  options: McpHandlerOptions = {},
): McpHandler {
  const settings = settingsOf(options);
  const endpoint: Endpoint = new Endpoint(
    dispatcher,
    settings,
    (message, from) => hear(endpoint, message, from),
  );
  pin(endpoint, route);
  if (settings.authenticate === undefined) endpoint.report({ type: "anonymous" });
  const detach = dispatcher.attach?.(hostOf(endpoint));
  let closed: Promise<void> | undefined;

  const handle = overHttp(endpoint, (request: Request, context?: unknown): Promise<Response> => {
    const { headers } = request;
    // Deno has all headers made ready for `has`, where `get` would fetch each of them by itself: over
    // HTTP that is 3 % of a call.
    const origin = headers.has("Origin") ? headers.get("Origin") : null;
    const answered = answer(endpoint, request, context, origin);
    if (origin === null) return answered;
    return answered.then((response) => withCors(request, response, settings.gates));
  });
  const close = ({ graceMs = GRACE_MS }: { readonly graceMs?: number } = {}): Promise<void> =>
    closed ??= shutDown(endpoint, graceMs).finally(() => detach?.());

  return Object.assign(handle, {
    fetch: handle,
    sessions: sessionsOf(endpoint),
    notify: notifySession(endpoint),
    stats: () => countLive(endpoint),
    drain: drainOf(endpoint),
    close,
    [Symbol.asyncDispose]: () => close(),
  });
}

/** The one turn that every request takes is for its body. */
async function answer(
  endpoint: Endpoint,
  request: Request,
  context: unknown,
  origin: string | null,
): Promise<Response> {
  const { settings: { resource, gates }, report } = endpoint;
  try {
    const described = resource?.respond(request);
    if (described !== undefined) return described;
    const checked = passHead(request, context, origin, gates, report);
    const head = isPromise(checked) ? await checked : checked;
    if (!("verb" in head)) return head;
    if (head.verb !== "POST") {
      const response = serve(endpoint, request, context, head);
      return isPromise(response) ? await response : response;
    }
    const body = await readBody(request, gates.bodyBytes, endpoint.bodies);
    const passed = passBody(body, request, head, gates, report);
    if (!("verb" in passed)) return passed;
    const response = serve(endpoint, request, context, passed);
    return isPromise(response) ? await response : response;
  } catch (error) {
    return internalError(endpoint, error);
  }
}

/** Finds out who asks, and answers. */
function serve(
  endpoint: Endpoint,
  request: Request,
  context: unknown,
  passed: Passed,
): MaybePromise<Response> {
  const principal = principalOf(request, context, endpoint.auth);
  if (isPromise(principal)) {
    return principal.then((known) => serveTo(endpoint, request, context, passed, known));
  }
  return serveTo(endpoint, request, context, passed, principal);
}

function serveTo(
  endpoint: Endpoint,
  request: Request,
  context: unknown,
  passed: Passed,
  principal: Principal | Response,
): MaybePromise<Response> {
  if (isResponse(principal)) return principal;
  const response = route(endpoint, request, passed, principal);
  const { keepAliveMs } = endpoint.settings.streams;
  return context === undefined ? response : holdOpen(request, context, response, keepAliveMs);
}

function route(
  endpoint: Endpoint,
  request: Request,
  passed: Passed,
  principal: Principal,
): MaybePromise<Response> {
  const owner = ownerKey(principal);
  if (passed.verb === "POST") {
    const init = permit(endpoint, {
      request,
      posted: passed,
      principal,
      owner,
      versionHeader: versionHeader(request),
    });
    if (isPromise(init)) return init.then((init) => answerPost(endpoint, init));
    return answerPost(endpoint, init);
  }
  const { sessions, versions2025 } = endpoint.settings;
  if (!sessions || versions2025.length === 0) return sessionsOff(endpoint);
  if (passed.verb === "GET") return get(endpoint, { request, principal, owner });
  return remove(endpoint, { request, principal, owner });
}

function answerPost(endpoint: Endpoint, init: PostInit | Response): MaybePromise<Response> {
  if (!("posted" in init)) return init;
  const era = eraOf(init.posted, init.versionHeader, endpoint.settings);
  return era === "2026" ? postModern(endpoint, init) : post(endpoint, init);
}

function sessionsOff(endpoint: Endpoint): Response {
  return refusal({
    status: 405,
    code: ErrorCode.Refused,
    message: "Use POST: this endpoint keeps no sessions",
    reason: "sessions-off",
    headers: { allow: "POST" },
  }, endpoint.report);
}
