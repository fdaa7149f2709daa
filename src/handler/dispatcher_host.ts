/**
 * Implements the functions that a handler offers to its dispatcher.
 *
 * @module
 */
import { askSession } from "../calls/ask.ts";
import { type Delay, DelayLine } from "../internal/delay_line.ts";
import type { MaybePromise } from "../internal/types.ts";
import { type DispatcherHost, type Notification, notificationText } from "../protocol/exchange.ts";
import { ASSUMED_VERSION } from "../protocol/versions.ts";
import type { Eras } from "./eras.ts";
import type { HandlerComponents } from "./components.ts";

/** The time in which updates of one resource become one notification, in milliseconds. */
const BURST_MS = 250;

/** The dispatcher's view of a handler. Its functions are bound: a dispatcher may copy or wrap them. */
export class HandlerHost implements DispatcherHost {
  readonly clock: DispatcherHost["clock"];
  readonly report: DispatcherHost["report"];
  readonly #components: HandlerComponents;
  readonly #eras: Eras;
  readonly #bursts: DelayLine;
  /** The pending notification of each updated resource. */
  readonly #updated = new Map<string, Delay>();
  #disposed = false;

  /** Creates the view; no timer runs until a resource is updated. */
  constructor(components: HandlerComponents, eras: Eras) {
    this.#components = components;
    this.#eras = eras;
    this.clock = components.settings.clock;
    this.report = components.reporter.report;
    this.#bursts = new DelayLine(this.clock, BURST_MS);
  }

  broadcast = (notification: Notification): void => {
    if (this.#disposed) return;
    const { store } = this.#components.sessions;
    this.#send(notification, notification.method, () => store.ids());
  };

  /**
   * Notifies of an updated resource, after a delay that later updates don't extend.
   */
  resourceUpdated = (uri: string): void => {
    if (this.#disposed || this.#updated.has(uri)) return;
    this.#updated.set(
      uri,
      this.#bursts.add(() => {
        this.#updated.delete(uri);
        const { store } = this.#components.sessions;
        const notification = { method: "notifications/resources/updated", params: { uri } };
        this.#send(notification, "sending a resource update", () => store.subscribers(uri));
      }),
    );
  };

  notify = (sessionId: string, notification: Notification): void => {
    const { reporter, sessions } = this.#components;
    const text = notificationText(notification);
    reporter.background(
      notification.method,
      () => sessions.serverStreams.push(sessionId, text),
    );
  };

  share: DispatcherHost["share"] = (name, apply) =>
    this.#components.cluster.documents.share(name, apply);

  ask: DispatcherHost["ask"] = (sessionId, method, params, signal) => {
    const session = this.#components.sessions.live.get(sessionId);
    if (session?.record === undefined) return undefined;
    const { client, protocolVersion = ASSUMED_VERSION } = session.record;
    return askSession(session, { client, protocolVersion }, method, params, signal);
  };

  /** Stops sending. */
  dispose(): void {
    this.#disposed = true;
    this.#bursts.clear();
  }

  #send(
    notification: Notification,
    during: string,
    ids: () => MaybePromise<Iterable<string>>,
  ): void {
    const { cluster, reporter, sessions } = this.#components;
    this.#eras.broadcast(notification);
    cluster.publish({ kind: "broadcast", notification });
    reporter.background(during, () => sessions.serverStreams.pushToAll(ids(), notification));
  }
}
