/**
 * Owns the running calls: counts them, and holds what they share.
 *
 * @module
 */
import type { Authorize } from "../auth/authorize.ts";
import { serverBusy, shuttingDown, storeUnavailable } from "../http/refusals.ts";
import type { Refusal } from "../http/reply.ts";
import type { Clock } from "../internal/clock.ts";
import { DelayLine } from "../internal/delay_line.ts";
import { EndOfTurn } from "../internal/end_of_turn.ts";
import { Slots } from "../internal/slots.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { MetaKey } from "../protocol/envelope.ts";
import type { RequestOutcome } from "../protocol/events.ts";
import type { Dispatcher, Exchange, Principal, UserState } from "../protocol/exchange.ts";
import type { JsonObject, RequestId } from "../protocol/jsonrpc.ts";
import type { Chain } from "../protocol/middleware.ts";
import type { Reporter } from "../protocol/reporter.ts";
import type { Route } from "../protocol/route.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";
import type { CallAnswers } from "./call_key.ts";
import type { HandOver } from "./hand_over.ts";
import { InFlight } from "./lifetime/inflight.ts";
import type { SingleUse } from "./state/single_use.ts";
import type { StateSealer } from "./state/state.ts";

/** The checked options of calls. Times are in milliseconds. */
export interface CallSettings {
  /** The maximum number of running calls, and of running notifications. */
  readonly most: number;
  /** The same for each principal. */
  readonly mostPerPrincipal: number;
  /** The time after which the answer of a call becomes a stream. */
  readonly sseAfterMs: number;
  /** The time between progress reports for a silent call with a progress token; 0 for none. */
  readonly progressHeartbeatMs: number;
  /** The `retry` time for clients. */
  readonly retryMs: number;
  /** The time limit of a call, restarted by progress; 0 for none. */
  readonly timeoutMs: number;
  /** The total time limit of a call; 0 for none. */
  readonly maxTimeoutMs: number;
  /** The time limit of a question to the client. */
  readonly askTimeoutMs: number;
  /** The maximum number of bytes of a result. */
  readonly resultBytes: number;
  /** The number of entries on one page of a list. */
  readonly page: number;
  /** The versions that the endpoint serves, newest first. */
  readonly versions: readonly ProtocolVersion[];
  /** The application's `authorize`. */
  readonly authorize: Authorize | undefined;
  /** The middleware, combined; `undefined` if there is none. */
  readonly middleware: Chain | undefined;
  /** Hands calls over that run long; `undefined` where none are. */
  readonly handOver: HandOver | undefined;
  /** A challenge whose parameters are added to those of refused calls. */
  readonly challenge: string | undefined;
}

/** A call that is over. */
export interface FinishedCall
  extends
    Pick<Route, "method" | "params" | "target" | "served">,
    Pick<Exchange, "principal" | "client" | "protocolVersion"> {
  /** The number of the request at this endpoint, as events have it. */
  readonly serial: number;
  /** The session, by its short hash. */
  readonly session: { readonly name: string } | undefined;
  /** The upstream that it went to, if that is known. */
  readonly upstream: string | undefined;
  /** The id of the trace that it belongs to, if that is known. */
  readonly traceId: string | undefined;
  /** When it began, in milliseconds since the epoch; 0 if no operator watched then. */
  readonly begunAt: number;
}

/**
 * Receives calls that are over; `failed` for the result of a tool that failed. `response` is the JSON-RPC
 * response, if there is one.
 */
export type CallListener = (
  call: FinishedCall,
  outcome: RequestOutcome,
  failed: boolean,
  response: string | undefined,
) => void;

/** Keeps state for the users who send calls. */
export interface CallUsers {
  /**
   * Returns the state of a user.
   *
   * @param share The user's share key
   * @param localPeer Where on this machine the call comes from: see `Exchange`
   */
  of(principal: Principal, share: string, localPeer: string | undefined): UserState;
}

/** The delay lines of all calls. */
export interface CallDelays {
  /** Waits until an answer becomes a stream (2025). */
  readonly sseAfter: DelayLine;
  /** Waits until a client is watched for disconnection, or an answer becomes a stream (2026). */
  readonly disconnect: DelayLine;
  /** Waits until the next progress report for a silent call. */
  readonly heartbeat: DelayLine;
  /** Time limits of calls, restarted by progress. */
  readonly timeout: DelayLine;
  /** Total time limits of calls. */
  readonly maxTimeout: DelayLine;
  /** Time limits of questions to the client. */
  readonly ask: DelayLine;
}

/** The maximum time until a 2026 client is watched for disconnection, in milliseconds. */
const MOST_DISCONNECT_MS = 500;

/** The calls of one endpoint. */
export class Calls {
  readonly dispatcher: Dispatcher;
  readonly settings: CallSettings;
  readonly clock: Clock;
  readonly reporter: Reporter;
  /** Encrypts the state that 2026 clients send from one round of a request to the next. */
  readonly states: StateSealer;
  /** Lets states be used once. */
  readonly singleUse: SingleUse;
  /** The state of users. */
  readonly users: CallUsers;
  readonly answers: CallAnswers;
  /** The slots for running calls. */
  readonly slots: Slots;
  /** The slots for notifications that the dispatcher still handles. */
  readonly notifications: Slots;
  /** The running calls without a session. */
  readonly sessionless = new InFlight();
  /** The calls that were handed over, and still run. Their owner bounds them. */
  readonly handedOver = new InFlight();
  readonly delays: CallDelays;
  readonly endOfTurn: EndOfTurn;
  /** The number of requests so far. */
  serial = 0;
  /** Whether each call notes when it began: other nodes may tell late that it is cancelled. */
  timed = false;
  #closing = false;
  #listener: CallListener | undefined;

  /** Creates the owner; no timer runs until a call waits. */
  constructor(
    dispatcher: Dispatcher,
    settings: CallSettings,
    states: StateSealer,
    singleUse: SingleUse,
    { users, answers }: { readonly users: CallUsers; readonly answers: CallAnswers },
    clock: Clock,
    reporter: Reporter,
  ) {
    this.dispatcher = dispatcher;
    this.settings = settings;
    this.states = states;
    this.singleUse = singleUse;
    this.users = users;
    this.answers = answers;
    this.clock = clock;
    this.reporter = reporter;
    this.endOfTurn = new EndOfTurn(clock.perRequest);
    this.slots = new Slots(settings.most, settings.mostPerPrincipal);
    this.notifications = new Slots(settings.most, settings.mostPerPrincipal);
    this.delays = {
      sseAfter: new DelayLine(clock, settings.sseAfterMs),
      disconnect: new DelayLine(clock, Math.min(settings.sseAfterMs, MOST_DISCONNECT_MS)),
      heartbeat: new DelayLine(clock, settings.progressHeartbeatMs),
      timeout: new DelayLine(clock, settings.timeoutMs),
      maxTimeout: new DelayLine(clock, settings.maxTimeoutMs),
      ask: new DelayLine(clock, settings.askTimeoutMs),
    };
  }

  /** Whether new calls are refused because the endpoint closes. */
  get closing(): boolean {
    return this.#closing;
  }

  /** Refuses new calls from now on. */
  beginClosing(): void {
    this.#closing = true;
  }

  /** Whether an operator watches. */
  get watched(): boolean {
    return this.#listener !== undefined;
  }

  /**
   * Calls a function when a call is over, until the returned function is called.
   *
   * @returns `undefined` if there is another such function
   */
  watch(listener: CallListener): (() => void) | undefined {
    if (this.#listener !== undefined) return undefined;
    this.#listener = listener;
    return () => this.#listener = undefined;
  }

  /** Notes that a call is over; `failed` for the result of a tool that failed. */
  finished(...finished: Parameters<CallListener>): void {
    this.#listener?.(...finished);
  }

  /** The server's name and version as `_meta`, for results of the 2026 era that the endpoint creates. */
  get serverMeta(): JsonObject {
    const { serverInfo } = this.dispatcher;
    return serverInfo === undefined ? {} : { [MetaKey.ServerInfo]: serverInfo };
  }

  /**
   * Takes a slot for a request, and asks the other nodes if that is needed.
   *
   * @returns A refusal if there is none
   */
  admit(share: string, id?: RequestId | null): MaybePromise<Refusal | undefined> {
    const admitted = this.slots.admit(share);
    if (isPromise(admitted)) return this.#admitLater(share, admitted, id);
    return admitted ? undefined : this.busy(id);
  }

  /**
   * Takes slots for all requests of a batch, or none.
   *
   * @param taken The number of slots that have been taken
   */
  admitBatch(share: string, count: number, taken = 0): MaybePromise<Refusal | undefined> {
    const undo = (refused: Refusal) => {
      for (let left = taken; left > 0; left--) this.slots.give(share);
      return refused;
    };
    for (; taken < count; taken++) {
      const refused = this.admit(share);
      if (isPromise(refused)) {
        return refused.then((refused) =>
          refused === undefined ? this.admitBatch(share, count, taken + 1) : undo(refused)
        );
      }
      if (refused !== undefined) return undo(refused);
    }
  }

  /** Refuses a request that found no slot, and names the limit. */
  busy(id?: RequestId | null): Refusal {
    return serverBusy(this.slots.full ? "request-limit" : "principal-request-limit", id);
  }

  async #admitLater(
    share: string,
    admitted: Promise<boolean>,
    id?: RequestId | null,
  ): Promise<Refusal | undefined> {
    try {
      if (!await admitted) return this.busy(id);
    } catch (error) {
      return storeUnavailable("counting a principal's requests", error);
    }
    if (!this.closing) return undefined;
    this.slots.give(share);
    return shuttingDown(id);
  }

  /** Cancels all waits. */
  dispose(): void {
    for (const line of Object.values(this.delays)) line.clear();
    this.singleUse.dispose();
    this.answers.dispose();
  }
}
