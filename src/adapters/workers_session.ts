/**
 * Implements the Durable Object that holds one session of the 2025 era.
 *
 * @module
 */
import { type SqlStore, sqlStore } from "../sql/object_store.ts";
import { makeHandler } from "../handler/handler.ts";
import type { McpHandler, McpHandlerOptions } from "../handler/types.ts";
import { shortHash } from "../internal/random.ts";
import type { McpEvent } from "../protocol/events.ts";
import type { Dispatcher, Notification, Principal } from "../protocol/exchange.ts";
import { Reporter } from "../protocol/reporter.ts";
import { isVersion, VERSIONS } from "../protocol/versions.ts";
import type { ErrorLog } from "./error_log.ts";
import { IdleClock } from "./idle_clock.ts";
import { objectDispatcher } from "./workers_dispatcher.ts";
import { readRouted, withoutInternal } from "./workers_routing.ts";
import { UserObject, type UserObjects } from "./workers_user_state.ts";
import type { DurableState } from "./workers_types.ts";

/** The time after which an alarm looks again at a session in use, in milliseconds. */
const BUSY_MS = 60_000;

/** The least time until an alarm, in milliseconds: one that is set for the time of the last is lost. */
const LEAST_MS = 100;

/** The bytes that a body may grow by when it is written again: a control character becomes six. */
const BODY_GROWTH = 6;
const BODY_BYTES = 1024 * 1024;

/** The options that the Worker itself applies or refuses, before a request reaches an object. */
const APPLIED_BY_WORKER = {
  path: undefined,
  healthPath: undefined,
  allowedOrigins: undefined,
  allowedHosts: undefined,
  cors: undefined,
  requiredHeader: undefined,
  rateLimit: undefined,
  principalRateLimit: undefined,
  serverCard: undefined,
  // What a request runs ends with it.
  longCalls: undefined,
} satisfies McpHandlerOptions;

/** What an object serves. */
export interface ObjectSetup {
  readonly dispatcher: Dispatcher;
  readonly options: McpHandlerOptions;
  /** Keeps the state of users, each in an object of its own. */
  readonly users: UserObjects;
  /** Writes failures to stderr; nothing if left out. */
  readonly log?: ErrorLog | undefined;
}

/** What an object has once it is used. */
interface ObjectEndpoint {
  readonly handler: McpHandler;
  readonly store: SqlStore;
}

/** What the handler's `authenticate` gets: the sender that the Worker has authenticated. */
interface ObjectContext {
  readonly env: unknown;
  readonly principal: Principal | undefined;
}

/**
 * A session: an ordinary handler, whose store is the object's storage. Nothing keeps the object in memory
 * while the session is idle: timers wait until it is used, and an alarm ends it in time. An object with the
 * name of a user's record holds that instead.
 */
export class SessionObject {
  readonly #state: DurableState;
  readonly #env: unknown;
  readonly #setup: ObjectSetup;
  readonly #reporter: Reporter;
  readonly #clock = new IdleClock();
  #endpoint: ObjectEndpoint | undefined;
  #user: UserObject | undefined;
  /** The number of requests that have no response yet. */
  #active = 0;
  /** When the alarm is set for, if this instance has set it. */
  #alarmAt: number | undefined;

  constructor(state: DurableState, env: unknown, setup: ObjectSetup) {
    this.#state = state;
    this.#env = env;
    this.#setup = setup;
    this.#reporter = new Reporter(setup.options.onEvent, { onError: setup.log?.report });
  }

  /** Answers a request that the Worker has authenticated, or does an operation of the application. */
  async fetch(request: Request): Promise<Response> {
    const { session, principal, operation } = readRouted(request);
    if (operation === "user-state") return await this.#ownUser.answer(request);
    this.#active++;
    this.#clock.resume();
    try {
      const { handler, store } = this.#open();
      if (operation === "end") return Response.json(await handler.sessions.end(session));
      if (operation === "notify") {
        const notification: Notification = await request.json();
        return Response.json(await handler.notify(session, notification));
      }
      if (store.sessions !== undefined) store.sessions.nextId = session;
      const context: ObjectContext = { env: this.#env, principal };
      return await handler(withoutInternal(request), context);
    } finally {
      this.#active--;
      await this.#settle();
    }
  }

  /** Ends the session if it has expired. */
  async alarm(): Promise<void> {
    if (this.#ownUser.used) return await this.#ownUser.alarm();
    const { store } = this.#open();
    this.#alarmAt = undefined;
    if (this.#busy) {
      await this.#setAlarm(this.#clock.now() + BUSY_MS);
      return;
    }
    for (const { id, reason } of store.sessions?.sweep(Infinity) ?? []) {
      store.log?.drop(id);
      const { dispatcher } = this.#setup;
      this.#reporter.background("ending a session", () => dispatcher.sessionEnded?.(id, reason));
      this.#reporter.report({
        type: "session-ended",
        session: shortHash(id),
        reason,
        protocolVersion: undefined,
        ms: undefined,
        node: this.#reporter.node,
      });
    }
    await this.#settle();
  }

  get #ownUser(): UserObject {
    return this.#user ??= new UserObject(this.#state.storage, () => this.#clock.now());
  }

  get #busy(): boolean {
    if (this.#active > 0) return true;
    const { streams, requests, questions, listens } = this.#open().handler.stats();
    return streams + requests + questions + listens > 0;
  }

  #open(): ObjectEndpoint {
    return this.#endpoint ??= this.#make();
  }

  #make(): ObjectEndpoint {
    const { dispatcher, options, users: ownedRecords } = this.#setup;
    const store = sqlStore(this.#state.storage.sql);
    const own: McpHandlerOptions = {
      ...objectOptions(options),
      authenticate: (_request, context) => senderIn(context),
      store,
      clock: this.#clock,
      onEvent: this.#onEvent,
    };
    const handler = makeHandler(objectDispatcher(dispatcher), own, { ownedRecords });
    return { handler, store };
  }

  readonly #onEvent = (event: McpEvent): void => {
    this.#reporter.report(event);
    if (event.type !== "stream-closed" && event.type !== "request-finished") return;
    // What has just ended still counts.
    queueMicrotask(() => this.#reporter.background("resting", () => this.#settle()));
  };

  /** Sets the alarm; rests if nothing runs, and deletes everything if there is no session. */
  async #settle(): Promise<void> {
    const endpoint = this.#endpoint;
    if (endpoint === undefined) return;
    const { handler, store } = endpoint;
    const expiry = store.sessions?.nextExpiry;
    if (expiry !== undefined) await this.#setAlarm(expiry);
    if (endpoint !== this.#endpoint || this.#busy) return;
    this.#clock.suspend();
    if (store.sessions?.size !== 0) return;
    this.#endpoint = undefined;
    this.#alarmAt = undefined;
    await handler.close({ graceMs: 0 });
    if (!store.used) return;
    await this.#state.storage.deleteAlarm();
    await this.#state.storage.deleteAll();
  }

  /** Sets the alarm, unless it is set for then or before: it looks again. */
  async #setAlarm(due: number): Promise<void> {
    if (this.#alarmAt !== undefined && this.#alarmAt <= due) return;
    const at = this.#alarmAt = Math.max(due, this.#clock.now() + LEAST_MS);
    await this.#state.storage.setAlarm(at);
  }
}

/** Returns the options of an object's handler: all but those that the Worker itself has applied. */
function objectOptions(options: McpHandlerOptions): McpHandlerOptions {
  const { limits = {}, versions } = options;
  const bodyBytes = (limits.bodyBytes ?? BODY_BYTES) * BODY_GROWTH;
  const legacy = (versions ?? Object.keys(VERSIONS)).filter(isVersion)
    .filter((version) => VERSIONS[version].era === "2025");
  return {
    ...options,
    ...APPLIED_BY_WORKER,
    versions: legacy,
    limits: {
      ...limits,
      bodyBytes,
      totalBodyBytes: 4 * bodyBytes,
      sessions: 1,
      sessionsPerPrincipal: 1,
      longCalls: undefined,
      longCallsPerPrincipal: undefined,
      userStates: undefined,
      // One session has one principal.
      requestsPerPrincipal: limits.requestsPerPrincipal ?? limits.requests ?? 1_000,
    },
  };
}

function senderIn(context: unknown): Principal {
  const { principal } = context as ObjectContext; // fetch() has made it
  if (principal === undefined) throw new TypeError("Reach a session's object through its Worker");
  return principal;
}
