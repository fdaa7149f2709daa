/**
 * The order of the gates, the cheap ones first: each answers the request or lets it through, and
 * nothing is known of the sender until it is through them all.
 *
 * @module
 */
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { type Accepts, checkAccept, parseAccept } from "./accept.ts";
import { readBody } from "./body.ts";
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
import type { Report } from "./refusal.ts";
import { checkRequiredHeader } from "./required_header.ts";

/** A request that passed every gate, with what they learned of it. */
export type Passed = PassedPost | { readonly verb: "GET" | "DELETE" };

const GET: Passed = { verb: "GET" };
const DELETE: Passed = { verb: "DELETE" };

/**
 * Sends a request through the gates. It takes a promise only to read a POST's body, or to ask a rate
 * limiter that takes its time.
 *
 * @param context What the host handed over beside the request
 */
export function passGates(
  request: Request,
  context: unknown,
  settings: GateSettings,
  report: Report,
): MaybePromise<Response | Passed> {
  const origin = request.headers.get("origin");
  const refused = checkTarget(request, settings, report) ??
    checkOrigin(request, origin, settings, report) ??
    checkHost(request, settings, report);
  if (refused !== undefined) return refused;
  const limited = checkRateLimit(request, context, settings.rateLimit, report);
  if (!isPromise(limited)) return limited ?? passHead(request, origin, settings, report);
  return limited.then((response) => response ?? passHead(request, origin, settings, report));
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
function passHead(
  request: Request,
  origin: string | null,
  settings: GateSettings,
  report: Report,
): MaybePromise<Response | Passed> {
  const { headers } = request;
  const verb = checkMethod(request, origin, settings, report);
  if (verb instanceof Response) return verb;
  if (verb === "DELETE") {
    return checkRequiredHeader(headers, settings.requiredHeader, report) ?? DELETE;
  }
  if (verb === "GET") {
    return checkAccept(parseAccept(headers.get("accept")), verb, report) ??
      checkRequiredHeader(headers, settings.requiredHeader, report) ?? GET;
  }
  const wrongType = checkContentType(headers.get("content-type"), report);
  if (wrongType !== undefined) return wrongType;
  const accepts = parseAccept(headers.get("accept"));
  return checkAccept(accepts, verb, report) ??
    checkRequiredHeader(headers, settings.requiredHeader, report) ??
    passBody(request, accepts, settings, report);
}

/** The gates that look into the body. */
async function passBody(
  request: Request,
  accepts: Accepts,
  settings: GateSettings,
  report: Report,
): Promise<Response | Passed> {
  const text = await readBody(request, settings.bodyBytes, report);
  if (typeof text !== "string") return text;
  const value = parseJson(text, settings.jsonDepth, report);
  if (value instanceof Response) return value;
  return checkEnvelope(value, accepts, settings.batch, report);
}
