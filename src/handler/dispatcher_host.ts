/**
 * Implements the functions that a handler offers to its dispatcher.
 *
 * @module
 */
import { askSession } from "../calls/questions/ask.ts";
import type { Clock } from "../internal/clock.ts";
import { type Delay, DelayLine } from "../internal/delay_line.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import {
  type DispatcherHost,
  type HostPeers,
  type Notification,
  notificationText,
  type Principal,
} from "../protocol/exchange.ts";
import type { Report } from "../protocol/reporter.ts";
import { ASSUMED_VERSION } from "../protocol/versions.ts";
import { SERVER_STREAM } from "../sessions/server_streams.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { Eras } from "./eras.ts";
import type { HandlerComponents } from "./components.ts";

/** The time in which updates of one resource become one notification, in milliseconds. */
const BURST_MS = 250;

/** What a dispatcher's view of a handler needs. */
export interface HandlerHostInit {
  readonly clock: Clock;
  readonly report: Report;
  /** Whether calls that run long are answered early. */
  readonly longCalls: boolean;
  /** Whether answers are kept for calls that are repeated. */
  readonly answersOnce: boolean;
  /** Returns what the handler consists of, unless nothing has used it yet. */
  readonly opened: () => HostedHandler | undefined;
  /** Returns what the handler consists of, and creates it at the first call. */
  readonly open: () => HostedHandler;
}

/** The part of a handler that its dispatcher reaches. */
export interface HostedHandler {
  readonly components: HandlerComponents;
  readonly eras: Eras;
}

/**
 * The dispatcher's view of a handler. Its functions are bound: a dispatcher may copy or wrap them. Nobody
 * hears what is sent before the handler has been used.
 */
export class HandlerHost implements DispatcherHost {
  readonly clock: DispatcherHost["clock"];
  readonly report: DispatcherHost["report"];
  readonly longCalls: boolean;
  readonly answersOnce: boolean;
  readonly #opened: HandlerHostInit["opened"];
  readonly #open: HandlerHostInit["open"];
  readonly #bursts: DelayLine;
  /** The pending notification of each updated resource. */
  readonly #updated = new Map<string, Delay>();
  #disposed = false;

  /** Creates the view; no timer runs until a resource is updated. */
  constructor({ clock, report, longCalls, answersOnce, opened, open }: HandlerHostInit) {
    this.clock = clock;
    this.longCalls = longCalls;
    this.answersOnce = answersOnce;
    this.report = report;
    this.#opened = opened;
    this.#open = open;
    this.#bursts = new DelayLine(clock, BURST_MS);
  }

  broadcast: DispatcherHost["broadcast"] = (notification, wants = () => true, mayKnow) => {
    const wanting = (ids: Iterable<string>) => [...ids].filter(wants);
    this.#send(notification, notification.method, ({ store }) => {
      const ids = store.ids();
      return isPromise(ids) ? ids.then(wanting) : wanting(ids);
    }, mayKnow);
  };

  /**
   * Notifies of an updated resource, after a delay that later updates don't extend.
   */
  resourceUpdated = (uri: string): void => {
    if (this.#disposed || this.#updated.has(uri) || this.#opened() === undefined) return;
    // The request that a timer would end with may be over before.
    if (this.clock.perRequest === true) return this.#sendUpdate(uri);
    this.#updated.set(
      uri,
      this.#bursts.add(() => {
        this.#updated.delete(uri);
        this.#sendUpdate(uri);
      }),
    );
  };

  #sendUpdate(uri: string): void {
    const notification = { method: "notifications/resources/updated", params: { uri } };
    this.#send(notification, "sending a resource update", ({ store }) => store.subscribers(uri));
  }

  notify = (sessionId: string, notification: Notification): void => {
    const { reporter, sessions } = this.#open().components;
    const text = notificationText(notification);
    reporter.background(
      notification.method,
      () => sessions.serverStreams.push(sessionId, text),
    );
  };

  openDocument: DispatcherHost["openDocument"] = (name, apply) =>
    this.#open().components.cluster.documents.open(name, apply);

  ask: DispatcherHost["ask"] = (sessionId, method, params, signal) => {
    const session = this.#opened()?.components.sessions.live.get(sessionId);
    if (session?.record === undefined) return undefined;
    const { client, protocolVersion = ASSUMED_VERSION } = session.record;
    return askSession(session, { client, protocolVersion }, method, params, signal);
  };

  onListening: DispatcherHost["onListening"] = (sessionId, listener) => {
    const session = this.#opened()?.components.sessions.live.get(sessionId);
    if (session === undefined) return undefined;
    // It may have opened since the last question was refused.
    if (session.connections.has(SERVER_STREAM) && session.record?.initialized === true) {
      queueMicrotask(listener);
    }
    return session.onListening(listener);
  };

  get peers(): HostPeers | undefined {
    // A handler that shares its store is opened before its dispatcher is attached.
    const { cluster, backplane } = this.#opened()?.components ?? {};
    if (cluster?.node === undefined) return undefined;
    const listeners = cluster.dispatcherListeners;
    return {
      node: cluster.node,
      tasks: backplane?.tasks,
      send: (node, value) => cluster.send(node, { kind: "dispatcher", value }),
      sendRepeatedly: (node, value) => cluster.sendRepeatedly(node, { kind: "dispatcher", value }),
      receive(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    };
  }

  closeStream: DispatcherHost["closeStream"] = (sessionId, options) => {
    const opened = this.#opened();
    if (opened === undefined) return;
    const { sessions, settings } = opened.components;
    const connection = sessions.live.get(sessionId)?.connections.get(SERVER_STREAM);
    connection?.close("released", { retryMs: options?.retryMs ?? settings.streams.retryMs });
  };

  /** Stops sending. */
  dispose(): void {
    this.#disposed = true;
    this.#bursts.clear();
  }

  #send(
    notification: Notification,
    during: string,
    ids: (sessions: Sessions) => MaybePromise<Iterable<string>>,
    mayKnow?: (principal: Principal) => boolean,
  ): void {
    const opened = this.#opened();
    if (this.#disposed || opened === undefined) return;
    const { components: { cluster, reporter, sessions }, eras } = opened;
    eras.broadcast(notification, mayKnow);
    // Other nodes can't ask who may know
    if (mayKnow === undefined) cluster.publish({ kind: "broadcast", notification });
    reporter.background(
      during,
      () => sessions.serverStreams.pushToAll(ids(sessions), notification),
    );
  }
}
