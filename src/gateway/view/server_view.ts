/**
 * Serves one upstream as the server that it is: its clients see it as itself, where no rule of the policy
 * judges what it says.
 *
 * @module
 */
import type {
  Exchange,
  Implementation,
  JsonObject,
  MaybePromise,
  NotificationExchange,
  Principal,
} from "../../../mod.ts";
import { isModern, methodFacts, unknownMethod, VERSIONS } from "../../kit.ts";
import { isSameEra, toUpstream } from "../session/translate.ts";
import type { UpstreamFacts } from "../types.ts";
import { answerAlone } from "./alone.ts";
import { listChangedOf } from "./capabilities.ts";
import { METHODS, type Sent } from "./methods.ts";
import { GatewayView, isRetry, type ViewInit } from "./view.ts";

/** Options for {@linkcode ServerView}. */
export interface ServerViewInit extends ViewInit {
  /** The name of the upstream. */
  readonly only: string;
}

/** The dispatcher of one upstream. */
export class ServerView extends GatewayView {
  readonly #only: string;
  /** The era in which the upstream was spoken to last. */
  #isModernUpstream: boolean | undefined;

  constructor(init: ServerViewInit) {
    super(init);
    this.#only = init.only;
  }

  /** The upstream says itself who it is. */
  override get serverInfo(): Implementation | undefined {
    return undefined;
  }

  override get listChanged(): readonly string[] {
    const capabilities = this.upstreams.has(this.#only) ? this.seen(this.#only) : undefined;
    return capabilities === undefined ? super.listChanged : listChangedOf(capabilities);
  }

  protected override run(
    exchange: Exchange,
    sent: Sent,
    principal: Principal,
  ): MaybePromise<JsonObject> {
    if (!this.served.isAloneFor(principal)) return super.run(exchange, sent, principal);
    checkServed(exchange);
    return this.answerWith(exchange, answerAlone, sent, async () => {
      // An upstream of the 2026 era keeps its own state with the client.
      const isOwnState = isRetry(exchange) && this.#isModernUpstream === false;
      return isOwnState ? await exchange.openState() : undefined;
    });
  }

  /** Passes a notification on to the upstream, if a session with it is open. */
  override async notified(exchange: NotificationExchange): Promise<void> {
    const { method, params, protocolVersion, principal } = exchange;
    if (!this.served.isAloneFor(principal)) return await super.notified(exchange);
    const sessions = this.sessionsOf(exchange);
    if (sessions === undefined) return;
    if (method === "notifications/initialized") return sessions.markReachable();
    const [upstream] = sessions.used;
    const { facts } = upstream ?? {};
    if (upstream === undefined || facts === undefined) return;
    const sent = isSameEra(protocolVersion, facts.protocolVersion)
      ? params
      : toUpstream(params, facts, undefined);
    if (Object.keys(sent).length > 0) await upstream.forward({ method, params: sent }, exchange);
    else if (methodFacts(method) === undefined) await upstream.forward({ method }, exchange);
    // Repetitions of it say no more.
    else await upstream.notify(method, exchange);
  }

  protected override opened({ protocolVersion }: UpstreamFacts): void {
    this.#isModernUpstream = isModern(protocolVersion);
  }
}

/**
 * Checks that the client's era has a method. What the protocol doesn't know is between client and server.
 *
 * @throws {McpError} If it doesn't
 */
function checkServed({ method, protocolVersion }: Exchange): void {
  const facts = methodFacts(method);
  if (facts === undefined) return;
  if (METHODS.has(method) && facts.eras.includes(VERSIONS[protocolVersion].era)) return;
  throw unknownMethod(method);
}
