/**
 * Picks the era that answers a request, from a table. To remove an era, delete its row and its folder.
 *
 * The next step of a call is in `era2025/post.ts`.
 *
 * @module
 */
import { era2025 } from "../era2025/era.ts";
import { era2026 } from "../era2026/era.ts";
import type { EraEndpoint, ListenFacts } from "../http/era.ts";
import type { Inbound } from "../http/inbound.ts";
import { type Refusal, refusal, type Reply } from "../http/reply.ts";
import { unsupportedVersion } from "../http/version.ts";
import type { MaybePromise } from "../internal/types.ts";
import { envelopeVersion } from "../protocol/envelope.ts";
import { ErrorCode } from "../protocol/errors.ts";
import type { Notification, Principal } from "../protocol/exchange.ts";
import { type Era, isModern } from "../protocol/versions.ts";
import type { HandlerComponents } from "./components.ts";
import { versionsOfEra } from "./settings.ts";

/** Creates the endpoint of one era. */
export type EraRow = (components: HandlerComponents) => EraEndpoint;

/** The table of eras. */
export const ERAS: Readonly<Partial<Record<Era, EraRow>>> = {
  "2025": (components) => {
    const { calls, streams, sessions, cluster, backplane, settings, reporter } = components;
    return era2025({
      calls,
      streams,
      sessions,
      cluster,
      reporter,
      leases: backplane.leases,
      versions: versionsOfEra(settings.versions, "2025"),
      sessionful: settings.sessionful,
      secondGet: settings.secondGet,
    });
  },
  "2026": ({ calls, streams, listens, settings, reporter }) =>
    era2026(calls, streams, listens, settings.listen, reporter),
};

/** The eras that an endpoint serves. */
export class Eras {
  readonly #endpoints: Readonly<Partial<Record<Era, EraEndpoint>>>;
  readonly #components: HandlerComponents;

  /** Creates the endpoint of each era that has a row and a served version. */
  constructor(rows: Readonly<Partial<Record<Era, EraRow>>>, components: HandlerComponents) {
    this.#components = components;
    const served = (era: Era) =>
      versionsOfEra(components.settings.versions, era).length > 0
        ? rows[era]?.(components)
        : undefined;
    this.#endpoints = { "2025": served("2025"), "2026": served("2026") };
  }

  /** Answers a POST by its era. */
  post(inbound: Inbound): MaybePromise<Reply> {
    const endpoint = this.#endpoints[this.#pick(inbound)];
    if (endpoint !== undefined) return endpoint.post(inbound);
    const { content, requestId } = inbound;
    const params = content.kind === "request" || content.kind === "notification"
      ? content.message.params
      : undefined;
    const { versions } = this.#components.settings;
    return unsupportedVersion(requestId, envelopeVersion(params), versions);
  }

  /** Answers a GET, which only the 2025 era has. */
  get(inbound: Inbound): MaybePromise<Reply> {
    return this.#endpoints["2025"]?.get?.(inbound) ?? sessionsOff();
  }

  /** Answers a DELETE, which only the 2025 era has. */
  delete(inbound: Inbound): MaybePromise<Reply> {
    return this.#endpoints["2025"]?.delete?.(inbound) ?? sessionsOff();
  }

  /** Sends a notification to this node's clients that subscribed to it. */
  broadcast(notification: Notification, mayKnow?: (principal: Principal) => boolean): void {
    for (const endpoint of Object.values(this.#endpoints)) {
      endpoint?.broadcast?.(notification, mayKnow);
    }
  }

  /** The number of open `subscriptions/listen` requests. */
  get listens(): number {
    return Object.values(this.#endpoints).reduce((sum, era) => sum + (era?.listens ?? 0), 0);
  }

  /** What is known about each open `subscriptions/listen` request. */
  get listenFacts(): readonly ListenFacts[] {
    return Object.values(this.#endpoints).flatMap((era) => era?.listenFacts ?? []);
  }

  /** Ends all subscriptions when the endpoint closes. */
  endListens(): void {
    for (const endpoint of Object.values(this.#endpoints)) endpoint?.endListens?.();
  }

  /**
   * Picks the era of a POST: a request with the `_meta` envelope belongs to the 2026 era, others to the
   * era of their MCP-Protocol-Version header, without one to the 2025 era (2026-07-28, Versioning,
   * Backward Compatibility).
   */
  #pick(inbound: Inbound): Era {
    if (this.#endpoints["2025"] === undefined) return "2026";
    const { content } = inbound;
    if (inbound.isModern) return "2026";
    if (content.kind === "request" || content.kind === "notification") {
      // `initialize` has its version in its parameters.
      if (content.message.method === "initialize") return "2025";
    }
    // If the 2026 era isn't served, its header is refused like an unknown version.
    if (this.#endpoints["2026"] === undefined) return "2025";
    const header = inbound.versionHeader;
    return header !== null && isModern(header) ? "2026" : "2025";
  }
}

function sessionsOff(): Refusal {
  return refusal({
    status: 405,
    code: ErrorCode.Refused,
    message: "Use POST: this endpoint keeps no sessions",
    reason: "sessions-off",
    headers: { allow: "POST" },
  });
}
