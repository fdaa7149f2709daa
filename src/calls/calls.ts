/**
 * Owns the calls that run: how many, for how long, and what all of them share.
 *
 * @module
 */
import type { Authorize } from "../auth/authorize.ts";
import type { Clock } from "../internal/clock.ts";
import { DelayLine } from "../internal/delay_line.ts";
import { EndOfTurn } from "../internal/end_of_turn.ts";
import { Slots } from "../internal/slots.ts";
import { MetaKey } from "../protocol/envelope.ts";
import type { Dispatcher } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { Reporter } from "../protocol/reporter.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";
import { InFlight } from "./inflight.ts";
import type { StateSealer } from "./state.ts";

/** The checked options of calls. Times are in milliseconds. */
export interface CallSettings {
  /** Calls that may run. */
  readonly most: number;
  /** How long a call may run before its answer becomes a stream. */
  readonly sseAfterMs: number;
  /** How often a silent call with a progress token reports that it is still running; 0 is never. */
  readonly progressHeartbeatMs: number;
  /** The `retry` time for clients. */
  readonly retryMs: number;
  /** How long a call may run without progress; 0 is without limit. */
  readonly timeoutMs: number;
  /** How long a call may run in all; 0 is without limit. */
  readonly maxTimeoutMs: number;
  /** How long a question to the client may stay open. */
  readonly askTimeoutMs: number;
  /** Bytes of one result. */
  readonly resultBytes: number;
  /** Entries on one page of a list. */
  readonly page: number;
  /** The versions that the endpoint serves, newest first. */
  readonly versions: readonly ProtocolVersion[];
  /** Decides what a principal may call. */
  readonly authorize: Authorize | undefined;
}

/** Waits of one length each, shared by all calls. */
export interface CallDelays {
  /** Until an answer becomes a stream (2025). */
  readonly sseAfter: DelayLine;
  /** Until a call's client is watched for its disconnection, or its answer becomes a stream (2026). */
  readonly disconnect: DelayLine;
  /** Until a silent call reports that it is still running. */
  readonly heartbeat: DelayLine;
  /** Until a call without progress has taken too long. */
  readonly timeout: DelayLine;
  /** Until any call has taken too long. */
  readonly maxTimeout: DelayLine;
  /** Until a question to the client is given up. */
  readonly ask: DelayLine;
}

/** The longest wait before a 2026 client's disconnection is noticed, in milliseconds. */
const MOST_DISCONNECT_MS = 500;

/** The calls of one endpoint. */
export class Calls {
  readonly dispatcher: Dispatcher;
  readonly settings: CallSettings;
  readonly clock: Clock;
  readonly reporter: Reporter;
  /** Seals what 2026 clients carry from one round of a request to the next. */
  readonly states: StateSealer;
  /** Running calls. */
  readonly slots: Slots;
  /** The calls that run outside any session. */
  readonly sessionless = new InFlight();
  readonly delays: CallDelays;
  readonly endOfTurn = new EndOfTurn();
  /** Whether no call may begin any more. */
  closing = false;

  /** Makes the owner; no timer runs until a call waits. */
  constructor(
    dispatcher: Dispatcher,
    settings: CallSettings,
    states: StateSealer,
    clock: Clock,
    reporter: Reporter,
  ) {
    this.dispatcher = dispatcher;
    this.settings = settings;
    this.states = states;
    this.clock = clock;
    this.reporter = reporter;
    this.slots = new Slots(settings.most);
    this.delays = {
      sseAfter: new DelayLine(clock, settings.sseAfterMs),
      disconnect: new DelayLine(clock, Math.min(settings.sseAfterMs, MOST_DISCONNECT_MS)),
      heartbeat: new DelayLine(clock, settings.progressHeartbeatMs),
      timeout: new DelayLine(clock, settings.timeoutMs),
      maxTimeout: new DelayLine(clock, settings.maxTimeoutMs),
      ask: new DelayLine(clock, settings.askTimeoutMs),
    };
  }

  /** What the endpoint's own results of the 2026 era say of the server in `_meta`. */
  get serverMeta(): JsonObject {
    const { serverInfo } = this.dispatcher;
    return serverInfo === undefined ? {} : { [MetaKey.ServerInfo]: serverInfo };
  }

  /** Ends all waits. */
  dispose(): void {
    for (const line of Object.values(this.delays)) line.clear();
  }
}
