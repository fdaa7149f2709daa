/**
 * Takes requests that other nodes hand on over HTTP: in the same envelope as over the bus.
 *
 * @module
 */
import { ENVELOPE_TYPE, NODE_HEADER, REFUSED } from "../cluster/http_calls.ts";
import { checkBody, readBody } from "../http/gates/body.ts";
import { HeaderName } from "../protocol/headers.ts";
import type { McpHandler } from "./types.ts";
import type { Endpoint } from "./endpoint.ts";
import { holdOpen } from "./hold_open.ts";
import type { Pins } from "./pins.ts";

/** How much larger than a body its envelope may be: headers, and JSON written in another way. */
const MORE = 2;
const MORE_BYTES = 256 * 1024;

/** A handler that answers what other nodes hand on, and leaves all else to `handle`. */
export function overHttp(endpoint: Endpoint, handle: McpHandler["fetch"]): McpHandler["fetch"] {
  const { pins, settings: { url, streams: { keepAliveMs } } } = endpoint;
  if (pins === undefined || url === undefined) return handle;
  return async (request, context) => {
    if (request.headers.get(HeaderName.ContentType) !== ENVELOPE_TYPE) {
      return await handle(request, context);
    }
    return await holdOpen(request, context, take(endpoint, pins, request), keepAliveMs);
  };
}

async function take(endpoint: Endpoint, pins: Pins, request: Request): Promise<Response> {
  try {
    const limit = endpoint.settings.gates.bodyBytes * MORE + MORE_BYTES;
    const body = await readBody(request, limit, endpoint.bodies);
    const text = checkBody(body, request, limit, endpoint.report);
    if (typeof text !== "string") return refused();
    const opened = await endpoint.post.open(text);
    if (opened?.message.kind !== "forward") return refused();
    const response = await pins.answer(opened.message.request);
    response.headers.set(NODE_HEADER, endpoint.node);
    return response;
  } catch (error) {
    endpoint.failed("taking a request from another node", error);
    return refused();
  }
}

/** Tells another node that nothing was done. */
function refused(): Response {
  return new Response(null, { status: 403, headers: { [NODE_HEADER]: REFUSED } });
}
