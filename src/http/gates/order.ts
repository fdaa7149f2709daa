/**
 * Sends a request through the gates in order, the cheap ones first. Each gate answers the request or
 * passes it. They run before authentication.
 *
 * The next step of a call is in `http/inbound.ts`.
 *
 * @module
 */
import type { Clock } from "../../internal/clock.ts";
import { isPromise, type MaybePromise } from "../../internal/types.ts";
import type { Inbound } from "../inbound.ts";
import type { Refusal, Reply } from "../reply.ts";
import { checkAccept } from "./accept.ts";
import { Arrivals, type Body } from "./arrivals.ts";
import { checkBody } from "./body.ts";
import { checkContentType } from "./content_type.ts";
import { checkJsonRpc } from "./jsonrpc.ts";
import { checkHealth } from "./health.ts";
import { checkHost } from "./host.ts";
import { parseJson } from "./json.ts";
import { checkMethod } from "./method.ts";
import type { GateSettings } from "./options.ts";
import { checkOrigin } from "./origin.ts";
import { checkPath, pathOf } from "./path.ts";
import { checkRateLimit } from "./rate_limit.ts";
import { checkRequiredHeader } from "./required_header.ts";

/** The gates of one endpoint. */
export class Gates {
  readonly #settings: GateSettings;
  readonly #arrivals: Arrivals;
  #isClosing = false;

  /** Creates the gates; no timer runs until a body is read. */
  constructor(settings: GateSettings, clock: Clock) {
    this.#settings = settings;
    this.#arrivals = new Arrivals(settings, clock);
  }

  /**
   * Sends a request through the gates that come before the body. Asynchronous only if the rate limiter
   * is.
   *
   * @returns The reply that answers the request, or `undefined` when it passes
   */
  passHead(inbound: Inbound): MaybePromise<Reply | undefined> {
    const { hosts, rateLimit } = this.#settings;
    const stopped = this.#checkTarget(inbound) ??
      checkOrigin(inbound, this.#settings) ??
      (hosts && checkHost(inbound, hosts));
    if (stopped !== undefined) return stopped;
    const limited = rateLimit && checkRateLimit(inbound, rateLimit);
    if (!isPromise(limited)) return limited ?? this.#passMethod(inbound);
    return limited.then((refused) => refused ?? this.#passMethod(inbound));
  }

  /** Checks the rate limit alone, for what is answered before the other gates. */
  passRate(inbound: Inbound): MaybePromise<Refusal | undefined> {
    const { rateLimit } = this.#settings;
    return rateLimit && checkRateLimit(inbound, rateLimit);
  }

  /** Reads the body of a POST. It counts until it is released. Never rejects. */
  readBody(inbound: Inbound): MaybePromise<Body> {
    return this.#arrivals.read(inbound);
  }

  /** Stops counting the body of a request. Safe to call at any time, more than once. */
  releaseBody(inbound: Inbound): void {
    this.#arrivals.release(inbound);
  }

  /** Sends a POST through the gates that check its body. */
  passBody(inbound: Inbound, body: Body): Refusal | undefined {
    const { bodyBytes, jsonDepth, batch } = this.#settings;
    const text = checkBody(body, inbound, bodyBytes);
    if (typeof text !== "string") return text;
    inbound.bodyLength = text.length;
    const parsed = parseJson(text, jsonDepth);
    if (parsed.refusal !== undefined) return parsed.refusal;
    return checkJsonRpc(inbound, parsed.value, batch);
  }

  /** Lets health checks fail from now on. */
  beginClosing(): void {
    this.#isClosing = true;
  }

  /** Stops the timer, unless a body is being received: its time limit stays. */
  close(): void {
    this.#arrivals.rest();
  }

  /** Runs the gates that check the path, which is only parsed if an option needs it. */
  #checkTarget(inbound: Inbound): Reply | undefined {
    const settings = this.#settings;
    if (settings.path === undefined && settings.healthPath === undefined) return undefined;
    const path = pathOf(inbound.source.url);
    return checkHealth(inbound, path, settings, this.#isClosing) ?? checkPath(path, settings);
  }

  /** Runs the gates between the rate limit and the body. */
  #passMethod(inbound: Inbound): Reply | undefined {
    const { requiredHeader } = this.#settings;
    const { method } = inbound;
    return checkMethod(inbound, this.#settings) ??
      (method === "POST" ? checkContentType(inbound) : undefined) ??
      (method === "DELETE" ? undefined : checkAccept(inbound)) ??
      (requiredHeader && checkRequiredHeader(inbound, requiredHeader));
  }
}
