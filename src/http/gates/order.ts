/**
 * The order of the gates, the cheap ones first: each answers the request or lets it through, and
 * nothing is known of the sender until it is through them all.
 *
 * @module
 */
import { isResponse } from "../../internal/whole.ts";
import { isPromise, type MaybePromise } from "../../internal/types.ts";
import { HeaderName } from "../../protocol/headers.ts";
import { type Accepts, checkAccept, parseAccept } from "./accept.ts";
import { type Body, checkBody } from "./body.ts";
import { checkContentType } from "./content_type.ts";
import { checkEnvelope, type PassedPost } from "./envelope.ts";
import { checkHealth } from "./health.ts";
import { checkHost } from "./host.ts";
import { parseJson } from "./json.ts";
import { checkMethod } from "./method.ts";
import type { GateSettings } from "./options.ts";
import { checkOrigin } from "./origin.ts";
import { checkPath, pathOf } from "./path.ts";
import { checkRateLimit } from "./rate_limit.ts";
import type { Report } from "../reply.ts";
import { checkRequiredHeader } from "./required_header.ts";

/** A request whose head passed: only a POST's body is left to be looked at. */
export type Head = PostHead | { readonly verb: "GET" | "DELETE" };

/** A POST whose head passed. */
export interface PostHead extends Accepts {
  readonly verb: "POST";
}

/** A request that passed every gate, with what they learned of it. */
export type Passed = PassedPost | { readonly verb: "GET" | "DELETE" };

const GET: Head = { verb: "GET" };
const DELETE: Head = { verb: "DELETE" };
const POST_BOTH: Head = { verb: "POST", json: true, sse: true };

/**
 * Sends a request through the gates that come before the body. It takes a promise only to ask a rate
 * limiter that takes its time.
 *
 * @param context What the host handed over beside the request
 * @param origin The Origin header
 */
export function passHead(
  request: Request,
  context: unknown,
  origin: string | null,
  settings: GateSettings,
  report: Report,
): MaybePromise<Response | Head> {
  const refused = checkTarget(request, settings, report) ??
    checkOrigin(request, origin, settings, report) ??
    checkHost(request, settings, report);
  if (refused !== undefined) return refused;
  const limited = checkRateLimit(request, context, settings.rateLimit, report);
  if (!isPromise(limited)) return limited ?? passVerb(request, origin, settings, report);
  return limited.then((response) => response ?? passVerb(request, origin, settings, report));
}

/** Sends a POST through the gates that look into its body. */
export function passBody(
  body: Body,
  request: Request,
  head: PostHead,
  settings: GateSettings,
  report: Report,
): Response | PassedPost {
  const text = checkBody(body, request, settings.bodyBytes, report);
  if (typeof text !== "string") return text;
  const { length } = text;
  const message = settings.familiar.find(text);
  if (message !== undefined) {
    return { verb: "POST", json: head.json, sse: head.sse, length, kind: "request", message };
  }
  const value = parseJson(text, settings.jsonDepth, report);
  if (isResponse(value)) return value;
  const passed = checkEnvelope(value, length, head, settings.batch, report);
  if ("verb" in passed) settings.familiar.note(text, passed);
  return passed;
}

/** The gates that look at the path. Its text is only cut out for them. */
function checkTarget(
  request: Request,
  settings: GateSettings,
  report: Report,
): Response | undefined {
  if (settings.path === undefined && settings.healthPath === undefined) return undefined;
  const pathname = pathOf(request.url);
  return checkHealth(request, pathname, settings) ?? checkPath(pathname, settings, report);
}

/** The gates between the rate limit and the body. */
function passVerb(
  request: Request,
  origin: string | null,
  settings: GateSettings,
  report: Report,
): Response | Head {
  const { headers } = request;
  const verb = checkMethod(request, origin, settings, report);
  if (typeof verb !== "string") return verb;
  if (verb === "DELETE") {
    return checkRequiredHeader(headers, settings.requiredHeader, report) ?? DELETE;
  }
  if (verb === "GET") {
    return checkAccept(parseAccept(headers.get(HeaderName.Accept)), verb, report) ??
      checkRequiredHeader(headers, settings.requiredHeader, report) ?? GET;
  }
  const wrongType = checkContentType(headers.get(HeaderName.ContentType), report);
  if (wrongType !== undefined) return wrongType;
  const accepts = parseAccept(headers.get(HeaderName.Accept));
  return checkAccept(accepts, verb, report) ??
    checkRequiredHeader(headers, settings.requiredHeader, report) ??
    (accepts.json && accepts.sse ? POST_BOTH : { verb, json: accepts.json, sse: accepts.sse });
}
