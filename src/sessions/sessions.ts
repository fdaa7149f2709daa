/**
 * Owns the sessions of the 2025 era: looks them up for their owner, begins and ends them.
 *
 * @module
 */
import { BoundedMap } from "../internal/bounded_map.ts";
import type { Inbound } from "../http/inbound.ts";
import { sessionNotFound, storeUnavailable } from "../http/refusals.ts";
import { type Refusal, refusal } from "../http/reply.ts";
import type { Clock } from "../internal/clock.ts";
import { shortHash } from "../internal/random.ts";
import { RecentKeys } from "../internal/recent_keys.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { ErrorCode } from "../protocol/errors.ts";
import type { SessionEndReason } from "../protocol/events.ts";
import type { Principal } from "../protocol/exchange.ts";
import { HeaderName } from "../protocol/headers.ts";
import type { Reporter } from "../protocol/reporter.ts";
import type { EventLog } from "../streams/types.ts";
import { isSessionId, mintSessionId } from "./id.ts";
import { LiveSession, type LiveSessionInit } from "./live_session.ts";
import type { ServerStreams } from "./server_streams.ts";
import type { EndedSession, Found, SessionRecord, SessionStore } from "./types.ts";

/** The time between two sweeps for expired sessions, in milliseconds. */
const SWEEP_MS = 60_000;
/** The maximum number of sessions that a sweep ends without a pause. */
const SWEEP_BATCH = 100;
/** The maximum number of live sessions that are looked up in the store at once. */
const CHECK_BATCH = 50;
/** The time for which an ended session is remembered, in milliseconds. */
const REMEMBER_MS = 60_000;
/** The number of later ended sessions after which one may be forgotten before that time. */
const REMEMBER_MOST = 5_000;

/** The maximum number of sessions of which it is remembered when they began. */
const CREATED_MOST = 20_000;

/** Options for {@linkcode Sessions}. */
export interface SessionsInit extends Omit<LiveSessionInit, "store" | "serverStreams"> {
  readonly store: SessionStore;
  readonly log: EventLog;
  readonly serverStreams: ServerStreams;
  readonly clock: Clock;
  readonly reporter: Reporter;
  /** Whether other nodes may use the store. */
  readonly shared: boolean;
  /** Whether a session is served only by the node that has claimed it. */
  readonly pinned: boolean;
  /**
   * Claims a pinned session for this node that began in an earlier process. Returns `false` if another
   * handler has claimed it. Called only if sessions are `restorable`.
   */
  readonly adopt: (session: LiveSession) => Promise<boolean>;
  /** Called when a session has ended, unless another node had claimed it. */
  readonly onEnd: (id: string, reason: SessionEndReason) => void;
  /** Called when this process has ended a session, to notify the other nodes. */
  readonly announceEnd: (id: string, reason: SessionEndReason) => void;
}

/** A session that another node has claimed. */
export interface SessionElsewhere {
  readonly kind: "elsewhere";
  /** The session's id. */
  readonly id: string;
  readonly record: SessionRecord;
}

/** The result of looking a session up. */
export type Lookup = LiveSession | SessionElsewhere | Refusal;

/** The sessions of one endpoint. */
export class Sessions {
  readonly store: SessionStore;
  readonly serverStreams: ServerStreams;
  /** The sessions that are in use in this process. */
  readonly live = new Map<string, LiveSession>();
  #closing = false;
  readonly #init: SessionsInit;
  /** Recently ended sessions: a pending lookup may still find them in the store. */
  readonly #ended: RecentKeys;
  /** When sessions began that this node has used, and in which version, if somebody listens to events. */
  readonly #began = new BoundedMap<string, Pick<SessionRecord, "createdAt" | "protocolVersion">>(
    CREATED_MOST,
  );
  /** The sessions of earlier processes that are being claimed. The limit of requests bounds them. */
  readonly #adopting = new Map<string, Promise<boolean>>();
  #stopSweep: (() => void) | undefined;
  #checking = false;
  #checkAgain = false;
  #sweptAt = 0;
  #disposed = false;

  /** Creates the owner; no timer runs until there is a session. */
  constructor(init: SessionsInit) {
    this.#init = init;
    this.store = init.store;
    this.serverStreams = init.serverStreams;
    this.#ended = new RecentKeys(init.clock, REMEMBER_MS, REMEMBER_MOST);
  }

  /** Returns the id of a session that is about to begin. */
  mintId(): string {
    return this.store.mintId?.() ?? mintSessionId();
  }

  /** Returns the live session of an id, and creates it if there is none. */
  ensureLive(id: string): LiveSession {
    let session = this.live.get(id);
    if (session === undefined) {
      session = this.makeLive(id);
      this.live.set(id, session);
    }
    return session;
  }

  /** Creates the live session of a session that is about to begin, without adding it to `live`. */
  makeLive(id: string): LiveSession {
    return new LiveSession(this.#init, id);
  }

  /**
   * Looks up the session that a request names, for the request's owner.
   *
   * @returns The session or a refusal, which is the same for a session that is unknown, has ended, has
   * expired, or is owned by another principal
   */
  find(inbound: Inbound): MaybePromise<Lookup> {
    const id = inbound.header(HeaderName.SessionId);
    if (id === null) return sessionMissing(inbound);
    const live = this.live.get(id);
    // An id that is in use here needs no syntax check.
    if (live === undefined && !isSessionId(id)) return sessionNotFound("session-unknown");
    try {
      const begins = inbound.method === "GET" || inbound.requests.length > 0;
      const found = this.store.use(id, inbound.owner, begins);
      if (!isPromise(found)) return this.#found(id, found, live);
      return found.then(
        (value) => {
          // The session may have ended after the store looked it up.
          if (this.#ended.has(id)) return sessionNotFound("session-unknown");
          return this.#found(id, value, this.live.get(id));
        },
        (error) => storeUnavailable("looking up a session", error),
      );
    } catch (error) {
      return storeUnavailable("looking up a session", error);
    }
  }

  #found(id: string, found: Found, live: LiveSession | undefined): MaybePromise<Lookup> {
    if (found.record !== undefined) {
      if (this.#init.pinned && live?.claimed !== true) {
        const { record } = found;
        return this.restores ? this.#adopt(id, record) : { kind: "elsewhere", id, record };
      }
      const session = live ?? this.ensureLive(id);
      if (live === undefined) this.#armSweep();
      if (session.ended) return sessionNotFound("session-unknown");
      if (this.#init.reporter.enabled && live === undefined) this.#noteCreated(found.record);
      session.record = found.record;
      session.used = true;
      return session;
    }
    if (found.refusal === "expired") this.endedByStore([found.ended]);
    return sessionNotFound(`session-${found.refusal}`);
  }

  /** Whether pinned sessions go on in a later process. */
  get restores(): boolean {
    return this.#init.pinned && this.#init.restorable;
  }

  /** Takes a pinned session over that began in an earlier process, unless another handler has it. */
  async #adopt(id: string, record: SessionRecord): Promise<Lookup> {
    const session = this.ensureLive(id);
    session.record = record;
    try {
      let adopting = this.#adopting.get(id);
      if (adopting === undefined) {
        adopting = this.#adoptOnce(session, record);
        this.#adopting.set(id, adopting);
        const done = () => void this.#adopting.delete(id);
        adopting.then(done, done);
      }
      if (!await adopting) return { kind: "elsewhere", id, record };
    } catch (error) {
      return storeUnavailable("claiming a session", error);
    }
    if (session.ended || this.#ended.has(id)) return sessionNotFound("session-unknown");
    return await this.#found(id, { record }, session);
  }

  async #adoptOnce(session: LiveSession, record: SessionRecord): Promise<boolean> {
    const adopted = await this.#init.adopt(session);
    if (!adopted) {
      if (session.idle && this.live.get(session.id) === session) this.live.delete(session.id);
      return false;
    }
    session.restored = true;
    const { reporter } = this.#init;
    if (!reporter.enabled) return true;
    this.#noteCreated(record);
    reporter.report({
      type: "session-restored",
      session: session.name,
      client: reporter.programOf(record.client),
      protocolVersion: record.protocolVersion,
      node: reporter.node,
    });
    return true;
  }

  /**
   * Reserves a place for a session that is about to begin, which may evict others.
   *
   * @returns `false` if every place is taken by a session in use
   */
  reserve(id: string, owner: string | undefined): MaybePromise<boolean> {
    const reserved = this.store.reserve(id, owner);
    if (isPromise(reserved)) {
      return reserved.then(({ admitted, ended }) => {
        this.endedByStore(ended);
        return admitted;
      });
    }
    if (reserved.ended.length > 0) this.endedByStore(reserved.ended);
    return reserved.admitted;
  }

  /**
   * Begins a session in its reserved place.
   *
   * @param principal The principal, for the event
   * @returns `false` if the reservation is gone because the endpoint has closed meanwhile
   */
  begin(
    session: LiveSession,
    record: SessionRecord,
    principal: Principal | undefined,
  ): MaybePromise<boolean> {
    if (this.closing) return false;
    const created = this.store.create(record);
    if (isPromise(created)) {
      return created.then((created) => created && this.#begun(session, record, principal));
    }
    return created && this.#begun(session, record, principal);
  }

  #begun(session: LiveSession, record: SessionRecord, principal: Principal | undefined): true {
    session.record = record;
    // Many sessions are never used: their live session is created again at the first use.
    if (session.idle) this.live.delete(session.id);
    else this.live.set(session.id, session);
    this.#armSweep();
    const { reporter } = this.#init;
    if (reporter.enabled) {
      this.#noteCreated(record);
      reporter.report({
        type: "session-opened",
        session: shortHash(session.id),
        principal: principal && reporter.principalName(principal),
        issuer: principal?.issuer,
        client: reporter.programOf(record.client),
        protocolVersion: record.protocolVersion,
        node: reporter.node,
      });
    }
    return true;
  }

  /**
   * Ends a session.
   *
   * @returns `false` if there is none, or it is already ending
   * @throws The error that the store throws; the session can then be ended again
   */
  async end(id: string, reason: SessionEndReason): Promise<boolean> {
    const live = this.live.get(id);
    if (live?.ended) return false;
    // From now on no request finds it, and no running call can create it again.
    live?.end(reason === "shutdown" ? "shutdown" : "session-ended");
    let known: boolean;
    try {
      await this.#init.log.drop(id);
      known = await this.store.end(id);
    } catch (error) {
      // The store may still have it: ending it again must be possible.
      if (live !== undefined && this.live.get(id) === live) this.#remake(live);
      throw error;
    }
    // Meanwhile a request may have begun to use the session here.
    const claimed = this.#forget(id);
    if (known) this.#finish(id, reason, claimed);
    // Another node has ended it: only the live state here is left to end.
    else if (claimed) this.#init.onEnd(id, reason);
    return known;
  }

  /** Cleans up after sessions that the store has ended. */
  endedByStore(sessions: readonly EndedSession[]): void {
    const { log, reporter } = this.#init;
    for (const { id, reason } of sessions) {
      const claimed = this.#forget(id);
      reporter.background("dropping a session's events", () => log.drop(id));
      this.#finish(id, reason, claimed);
    }
  }

  /** Ends the live session of a session that ended on another node. */
  endedElsewhere(id: string, reason: SessionEndReason): void {
    this.#began.delete(id);
    if (this.#forget(id)) this.#init.onEnd(id, reason);
  }

  /**
   * Looks up in the store whether the sessions with calls, questions or connections here still exist, and
   * ends those that have ended elsewhere: the message about it may have been missed, or its sender may have
   * died before it sent it. Also done with each sweep.
   */
  checkLive(): void {
    if (!this.#init.shared || this.#disposed) return;
    // One that runs may have looked too early at some: look once more after it.
    this.#checkAgain = this.#checking;
    if (this.#checking) return;
    this.#checking = true;
    const checked = this.#init.reporter.background("checking the sessions here", async () => {
      const ids = [...this.live.values()].flatMap(({ id, idle }) => idle ? [] : [id]);
      for (let i = 0; i < ids.length && !this.#disposed; i += CHECK_BATCH) {
        await Promise.all(
          ids.slice(i, i + CHECK_BATCH).map(async (id) => {
            const live = this.live.get(id);
            if (live === undefined || await this.store.peek(id) !== undefined) return;
            if (this.live.get(id) === live) this.endedElsewhere(id, "lost");
          }),
        );
      }
    });
    void Promise.resolve(checked).finally(() => {
      this.#checking = false;
      if (this.#checkAgain) this.checkLive();
    });
  }

  /** The number of questions to clients that wait for a response. */
  get openQuestions(): number {
    let questions = 0;
    for (const session of this.live.values()) questions += session.openQuestions;
    return questions;
  }

  /** Stops the sweeps. */
  dispose(): void {
    this.#disposed = true;
    this.#stopSweep?.();
  }

  /**
   * Ends and forgets the live session of an id.
   *
   * @returns Whether this node had claimed the session
   */
  #forget(id: string): boolean {
    const live = this.live.get(id);
    if (this.#init.shared) this.#ended.add(id);
    this.live.delete(id);
    live?.end("session-ended");
    return live?.claimed === true;
  }

  #finish(id: string, reason: SessionEndReason, claimed: boolean): void {
    const { pinned, reporter, clock, onEnd, announceEnd } = this.#init;
    // A pinned session's live state is only at the node that has claimed it.
    if (claimed || !pinned) onEnd(id, reason);
    if (reporter.enabled) {
      const { createdAt, protocolVersion } = this.#began.get(id) ?? {};
      this.#began.delete(id);
      const ms = createdAt === undefined ? undefined : Math.max(0, clock.now() - createdAt);
      reporter.report({
        type: "session-ended",
        session: shortHash(id),
        reason,
        protocolVersion,
        ms,
        node: reporter.node,
      });
    }
    announceEnd(id, reason);
  }

  /** Remembers when a session began, for the event at its end. */
  #noteCreated({ id, createdAt, protocolVersion }: SessionRecord): void {
    this.#began.set(id, { createdAt, protocolVersion });
  }

  /** Replaces the live session of a session that could not be ended, keeping only the claim. */
  #remake({ id, claimed, renewedAt }: LiveSession): void {
    this.live.delete(id);
    if (claimed) Object.assign(this.ensureLive(id), { claimed, renewedAt });
  }

  /** Schedules a sweep, unless one is scheduled. */
  #armSweep(): void {
    if (this.#init.clock.perRequest === true) return this.#sweepNow();
    this.#stopSweep ??= this.#init.clock.timer(SWEEP_MS, () => void this.#sweep());
  }

  /** Sweeps, unless that was done lately: where no timer outlives the request. */
  #sweepNow(): void {
    const now = this.#init.clock.now();
    if (now - this.#sweptAt < SWEEP_MS) return;
    this.#sweptAt = now;
    void this.#sweep();
  }

  /** Whether new sessions are refused because the endpoint closes. */
  get closing(): boolean {
    return this.#closing;
  }

  /** Refuses new sessions from now on. */
  beginClosing(): void {
    this.#closing = true;
  }

  /** Stops every call of this process. */
  stopCalls(): void {
    for (const session of this.live.values()) session.inflight.stopAll("shutdown");
  }

  /**
   * Closes connections of this process.
   *
   * @param which Tells which, by the name of the stream
   * @param retryMs The `retry` time for clients
   */
  closeStreams(which: (stream: string) => boolean, retryMs: number): void {
    for (const session of this.live.values()) {
      for (const [stream, connection] of [...session.connections]) {
        if (which(stream)) connection.close("shutdown", { retryMs });
      }
    }
  }

  async #sweep(): Promise<void> {
    let more = false;
    // If the store fails, it may have sessions.
    let any = true;
    try {
      const ended = await this.store.sweep(SWEEP_BATCH);
      this.endedByStore(ended);
      this.#dropUnused();
      this.checkLive();
      more = ended.length >= SWEEP_BATCH;
      any = this.store.size > 0 || this.live.size > 0;
    } catch (error) {
      this.#init.reporter.failed("looking for expired sessions", error);
    }
    this.#stopSweep = undefined;
    if (this.#disposed || !any || this.#init.clock.perRequest === true) return;
    this.#stopSweep = this.#init.clock.timer(more ? 0 : SWEEP_MS, () => void this.#sweep());
  }

  /** Forgets live sessions that are idle and were not used since the last sweep. */
  #dropUnused(): void {
    if (!this.#init.shared) return;
    for (const session of this.live.values()) {
      if (session.used) session.used = false;
      else if (session.idle) this.live.delete(session.id);
    }
  }
}

/** Refuses a request without the id of a session. */
export function sessionMissing({ method }: Inbound): Refusal {
  const hint = "Send the Mcp-Session-Id header that the initialize response carried";
  return refusal({
    status: 400,
    code: ErrorCode.Refused,
    // Clients of the HTTP+SSE transport (2024-11-05) begin with a GET.
    message: method === "GET" ? `${hint}: begin by POSTing initialize to this URL` : hint,
    reason: "session-missing",
  });
}
