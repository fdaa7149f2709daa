/**
 * The calls that wait for their clients.
 *
 * @module
 */
import { randomText } from "../internal/random.ts";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import { Slots } from "../internal/slots.ts";
import { HeldCall, type HeldCallInit, type HoldingPlace } from "./held.ts";
import type { GatewaySettings } from "./options.ts";
import { ownerOf } from "./owner.ts";

/** A call in its place. */
interface Parked {
  readonly id: string;
  readonly stop: () => void;
}

/** The calls that wait for their clients: found by a name that is good once, for their owner alone. */
export class Holds implements HoldingPlace {
  readonly #settings: GatewaySettings;
  readonly #slots: Slots;
  readonly #byId = new Map<string, HeldCall>();
  readonly #parked = new Map<HeldCall, Parked>();
  /** Every call that isn't over, and what is let go of with it. */
  readonly #calls = new Map<HeldCall, () => void>();

  constructor(settings: GatewaySettings) {
    this.#settings = settings;
    this.#slots = new Slots(settings.limits.held, settings.limits.heldPerPrincipal);
  }

  /** How many wait. */
  get size(): number {
    return this.#parked.size;
  }

  /**
   * Begins a call and answers the request that it begins with.
   *
   * @param release Called once when the call is over
   */
  begin(
    exchange: Exchange,
    init: Omit<HeldCallInit, "place" | "owner" | "request">,
    release: () => void,
  ): Promise<JsonObject> {
    const { request, principal } = exchange;
    const call = new HeldCall({ ...init, place: this, request, owner: ownerOf(principal) });
    this.#calls.set(call, release);
    const answered = call.attend(exchange);
    call.begin();
    return answered;
  }

  /**
   * Answers the request with which a client comes back.
   *
   * @throws {McpError} With -32602, if no call waits under that name for its principal
   */
  resume(exchange: Exchange, id: string): Promise<JsonObject> {
    const call = this.#byId.get(id);
    if (call !== undefined && call.owner === ownerOf(exchange.principal)) {
      return call.attend(exchange);
    }
    throw new McpError(
      ErrorCode.InvalidParams,
      "Begin again without requestState: the call doesn't wait any more",
    );
  }

  park(call: HeldCall): string | undefined {
    if (!this.#slots.take(call.owner)) return undefined;
    const id = randomText(22);
    const { clock, askTimeoutMs } = this.#settings;
    const stop = clock.timer(askTimeoutMs, () => {
      call.cancel(new McpError(ErrorCode.NotAvailable, "The client gave no answer in time"));
    });
    this.#byId.set(id, call);
    this.#parked.set(call, { id, stop });
    return id;
  }

  leave(call: HeldCall): void {
    const parked = this.#parked.get(call);
    if (parked === undefined) return;
    this.#parked.delete(call);
    this.#byId.delete(parked.id);
    parked.stop();
    this.#slots.give(call.owner);
  }

  over(call: HeldCall): void {
    const release = this.#calls.get(call);
    this.#calls.delete(call);
    release?.();
  }

  /** Gives up every call. */
  close(reason: unknown): void {
    for (const call of [...this.#calls.keys()]) call.cancel(reason);
  }
}
