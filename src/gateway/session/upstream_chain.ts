/**
 * Passes requests to upstreams through the gateway's middleware.
 *
 * @module
 */
import type { JsonObject } from "../../../mod.ts";
import { isObject, itemOf, once } from "../../kit.ts";
import type { UpstreamMiddleware, UpstreamRequest } from "../types.ts";

/**
 * Passes a request through middleware, the first outermost, and sends it.
 *
 * @param send Sends the request with the parameters that the last middleware passes on
 */
export async function throughMiddleware(
  middleware: readonly UpstreamMiddleware[],
  request: UpstreamRequest,
  send: (params: JsonObject) => Promise<JsonObject>,
  index = 0,
): Promise<JsonObject> {
  const current = middleware[index];
  if (current === undefined) return await send(request.params);
  const next = once(`the gateway's middleware[${index}]`, (params = request.params) => {
    checkSameItem(request, params);
    request.signal.throwIfAborted();
    return throughMiddleware(middleware, { ...request, params }, send, index + 1);
  });
  const result: unknown = await current(request, async (params) => await next(params));
  if (isObject(result)) return result;
  const name = `the gateway's middleware[${index}]`;
  throw new TypeError(`Return a result from ${name}, such as that of next()`);
}

/** Checks that a request is still about what the principal was allowed to use. */
function checkSameItem({ method, params: before }: UpstreamRequest, params: JsonObject): void {
  if (itemOf(method, before)?.key === itemOf(method, params)?.key) return;
  throw new TypeError(
    "Rename a tool, prompt or resource in the endpoint's middleware: it is authorized there",
  );
}
