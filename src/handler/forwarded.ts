/**
 * Answers what another node has handed on: its sender is known, and has passed the gates there.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import type { ForwardedRequest } from "../cluster/messages.ts";
import { checkEnvelope } from "../http/gates/envelope.ts";
import type { Passed } from "../http/gates/order.ts";
import type { Principal } from "../protocol/exchange.ts";
import type { Endpoint } from "./endpoint.ts";
import { Pins } from "./pins.ts";
import { internalError } from "./responses.ts";
import { openSender } from "./sealed_sender.ts";

/** Answers a request once it is known who sends it. */
export type Route = (
  endpoint: Endpoint,
  request: Request,
  passed: Passed,
  principal: Principal,
) => MaybePromise<Response>;

/** Makes a handler the holder of its pinned sessions. */
export function pin(endpoint: Endpoint, route: Route): void {
  if (!endpoint.pinned) return;
  const pins: Pins = new Pins(endpoint, async (forwarded) => {
    try {
      return await answer(endpoint, pins, forwarded, route);
    } catch (error) {
      return internalError(endpoint, error);
    }
  });
  endpoint.pins = pins;
}

async function answer(
  endpoint: Endpoint,
  pins: Pins,
  { verb, url, sealed, body, json, sse }: ForwardedRequest,
  route: Route,
): Promise<Response> {
  const sender = await openSender(endpoint.states, sealed);
  if (sender === undefined) {
    throw new Error(
      "Give all nodes the same requests.stateKeys: a forwarded sender can't be opened",
    );
  }
  const { headers, principal } = sender;
  const request = new Request(url, { method: verb, headers });
  pins.received.add(request);
  if (verb !== "POST") return await route(endpoint, request, { verb }, principal);
  const text = body ?? "";
  const value: unknown = JSON.parse(text);
  const { batch } = endpoint.settings.gates;
  const passed = checkEnvelope(value, text.length, { json, sse }, batch, endpoint.report);
  return "verb" in passed ? await route(endpoint, request, passed, principal) : passed;
}
