/**
 * What the parts of one handler share: settings, what is kept, what runs, and how its operator is told.
 *
 * @module
 */
import { CoarseLine } from "../internal/coarse_line.ts";
import { DelayLine } from "../internal/delay_line.ts";
import { Recent } from "../internal/recent.ts";
import { randomText, shortHash } from "../internal/random.ts";
import { ShardedMap } from "../internal/sharded_map.ts";
import { Turn } from "../internal/turn.ts";
import { isPromise } from "../internal/types.ts";
import type { AuthSettings } from "../auth/authenticate.ts";
import type { BusMessage, NodeMessage } from "../cluster/messages.ts";
import { Post } from "../cluster/post.ts";
import type { Backplane } from "../cluster/types.ts";
import type { McpEvent } from "../protocol/events.ts";
import { MetaKey } from "../protocol/envelope.ts";
import type { Dispatcher } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import { InFlight } from "../calls/inflight.ts";
import { StateSealer } from "../calls/state.ts";
import { Slots } from "../calls/slots.ts";
import type { Listen } from "./listen.ts";
import { LiveSession } from "./live_session.ts";
import type { Settings } from "./options.ts";
import type { Pins } from "./pins.ts";
import { Shares } from "./shares.ts";

/** Waits of one length each, shared by everything that waits that long. */
export interface Lines {
  /** Until an answer becomes a stream. */
  readonly sseAfter: DelayLine;
  /** Until a quiet connection gets a comment. */
  readonly keepAlive: DelayLine;
  /** Until a silent request reports that it is still running. */
  readonly heartbeat: DelayLine;
  /** Until a request without progress has taken too long. */
  readonly timeout: DelayLine;
  /** Until any request has taken too long. */
  readonly maxTimeout: DelayLine;
  /** Until a question is given up. */
  readonly ask: DelayLine;
  /** Until a burst of updates of a resource is told as one. */
  readonly updates: DelayLine;
  /** Until it is worth knowing whether the client of a 2026 request is still there. */
  readonly gone: DelayLine;
}

/** One handler's shared parts. */
export class Endpoint {
  readonly settings: Settings;
  readonly dispatcher: Dispatcher;
  readonly backplane: Backplane;
  readonly lines: Lines;
  /** What can wait until everything has run that is ready to run now. */
  readonly turn = new Turn();
  /** Requests that run, in all sessions. */
  readonly requests: Slots;
  /** Open connections of streams. */
  readonly streams: Slots;
  /** Open `subscriptions/listen` requests, as places. */
  readonly listenSlots: Slots;
  /** Open `subscriptions/listen` requests. */
  readonly listens = new Set<Listen>();
  /** The sessions that this process has to do with. */
  readonly live = new ShardedMap<LiveSession>();
  /** The requests that run outside any session. */
  readonly stray = new InFlight();
  /** Whether the handler takes nothing new any more. */
  closing = false;
  /** Whether no new sessions are taken, on any node. */
  draining = false;
  /** What this handler and all others go by. */
  readonly shares = new Shares(this);
  /** Whether everything of the handler has ended. */
  closed = false;
  /** Ends the wait for the next look at expired sessions, if there is one. */
  stopSweep: (() => void) | undefined;
  /** Whether somebody wants to be told: events are only built when this is true. */
  readonly watched: boolean;
  /** How long bodies may be on their way. */
  readonly bodies: CoarseLine;
  /** Seals what 2026 clients carry from round to round. */
  readonly states: StateSealer;
  /** What finding out who sends a request needs. */
  readonly auth: AuthSettings;
  /** The handler's name among those that share its store. */
  readonly node = randomText(16);
  /** Whether a session is served by one of several nodes alone. */
  readonly pinned: boolean;
  /** This node's part in that, where it is so. */
  pins: Pins | undefined;
  /** Sessions that ended, while the store may still be about to say that they are there. */
  readonly ended: Recent;
  /** What goes to the other nodes. */
  readonly post: Post;

  /**
   * @param dispatcher What is served
   * @param settings The handler's settings
   * @param hear Called with what other nodes say
   */
  constructor(
    dispatcher: Dispatcher,
    settings: Settings,
    hear: (message: NodeMessage, from: string) => void,
  ) {
    const { clock, streams, requests, limits } = settings;
    this.settings = settings;
    this.dispatcher = dispatcher;
    this.backplane = settings.store.open(settings.storeSettings);
    this.watched = settings.onEvent !== undefined;
    const { authenticate, principalRateLimit: rateLimit, resource } = settings;
    const challenge = resource?.challenge;
    this.auth = { authenticate, rateLimit, clock, report: this.report, challenge };
    this.ended = new Recent(clock, 60_000, 5_000);
    this.requests = new Slots(limits.requests);
    this.streams = new Slots(limits.streams, limits.streamsPerPrincipal);
    const { secret } = this.backplane;
    const { stateKeys, askTimeoutMs: ttlMs } = requests;
    const keys = stateKeys.length === 0 && secret !== undefined ? [secret] : stateKeys;
    this.states = new StateSealer({ keys, ttlMs, clock });
    this.listenSlots = new Slots(limits.listens, limits.listensPerPrincipal);
    this.lines = {
      sseAfter: new DelayLine(clock, streams.sseAfterMs),
      keepAlive: new DelayLine(clock, streams.keepAliveMs),
      heartbeat: new DelayLine(clock, streams.progressHeartbeatMs),
      timeout: new DelayLine(clock, requests.timeoutMs),
      maxTimeout: new DelayLine(clock, requests.maxTimeoutMs),
      ask: new DelayLine(clock, requests.askTimeoutMs),
      updates: new DelayLine(clock, 250),
      gone: new DelayLine(clock, Math.min(streams.sseAfterMs, 500)),
    };
    this.bodies = new CoarseLine(clock, limits.bodyMs);
    this.pinned = dispatcher.pinned === true && settings.sessions && !settings.ownStore;
    this.post = new Post({
      bus: this.backplane.bus,
      node: this.node,
      clock,
      keys: settings.nodeKeys,
      hear,
      report: this.report,
    });
  }

  /** Tells the operator. What `onEvent` throws is ignored: it must not change an answer. */
  readonly report = (event: McpEvent): void => {
    try {
      // It may be an async function all the same, whose failure nobody else would take.
      const done: unknown = this.settings.onEvent?.(event);
      if (isPromise(done)) done.then(undefined, () => {});
    } catch {
      // Nobody is left to tell.
    }
  };

  /** Tells the operator that something failed of which the client learns nothing. */
  failed(during: string, error: unknown): void {
    this.report({ type: "error", during, error });
  }

  /** Tells the other nodes. */
  publish(message: BusMessage): void {
    // There are none where nobody else can have the store.
    if (this.settings.ownStore) return;
    this.background("publishing to the other nodes", () => this.post.tell(message));
  }

  /**
   * Runs something that nobody waits for; its failure is reported.
   *
   * @param failed What is done about the failure
   * @returns What resolves when it is over, where that is not now
   */
  background(
    during: string,
    work: () => unknown,
    failed?: () => void,
  ): Promise<unknown> | undefined {
    try {
      const done = work();
      if (isPromise(done)) {
        return done.then(undefined, (error) => this.#fail(during, error, failed));
      }
    } catch (error) {
      this.#fail(during, error, failed);
    }
    return undefined;
  }

  #fail(during: string, error: unknown, failed: (() => void) | undefined): void {
    this.failed(during, error);
    failed?.();
  }

  /** Keeps a session from being idle or in the way. A store that fails must not keep a place taken. */
  hold(id: string): void {
    try {
      this.backplane.sessions.hold(id);
    } catch (error) {
      this.failed("holding a session", error);
    }
  }

  /** Ends one hold. */
  free(id: string): void {
    try {
      this.backplane.sessions.free(id);
    } catch (error) {
      this.failed("letting go of a session", error);
    }
  }

  /** This process's part of a session. */
  session(id: string): LiveSession {
    let session = this.live.get(id);
    if (session === undefined) {
      session = new LiveSession(this, id);
      this.live.set(id, session);
    }
    return session;
  }

  /** Ends the waits and leaves the other nodes. */
  dispose(): void {
    this.closed = true;
    this.stopSweep?.();
    this.shares.close();
    for (const line of Object.values(this.lines)) line.clear();
    // Bodies that are on their way still get an answer.
    this.bodies.rest();
    this.background("leaving the other nodes", () => this.post.leave());
  }
}

/** What the endpoint's own results of the 2026 era say of the server, as the dispatcher's do. */
export function serverMeta({ dispatcher: { serverInfo } }: Endpoint): JsonObject {
  return serverInfo === undefined ? {} : { [MetaKey.ServerInfo]: serverInfo };
}

/** How a session is named in events. */
export function sessionName(id: string): string {
  return shortHash(id);
}
