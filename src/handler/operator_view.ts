/**
 * Shows a handler to an operator: what runs at this node, and what an operator may do about it.
 *
 * @module
 */
import { Call } from "../calls/call.ts";
import type { CallListener } from "../calls/calls.ts";
import { StopError } from "../calls/lifetime/stop.ts";
import type { Clock } from "../internal/clock.ts";
import { shortHash } from "../internal/random.ts";
import { type MaybePromise, then } from "../internal/types.ts";
import type { ClientFacts, Principal, UpstreamControl } from "../protocol/exchange.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import type { Report, Reporter } from "../protocol/reporter.ts";
import type { RequestTarget } from "../protocol/route.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";
import type { LiveSession } from "../sessions/live_session.ts";
import { principalOf } from "../sessions/owner.ts";
import { SERVER_STREAM } from "../sessions/server_streams.ts";
import type { SessionStore } from "../sessions/types.ts";
import { endpointOf, type OpenEndpoint } from "./endpoint_of.ts";
import type { McpHandler } from "./types.ts";

/** Distinguishes sealed messages of operators from the states that clients have. */
const BINDING = { owner: "", method: "mooring/operator", params: {} };

/** What an operator sees of a handler at one node, and can do at it. */
export interface OperatorView {
  readonly clock: Clock;
  readonly reporter: Reporter;
  /** The stored sessions, whichever node uses them. */
  readonly sessions: Pick<SessionStore, "ids" | "uses" | "peek">;
  /** The upstreams, if the dispatcher has any. */
  readonly upstreams: UpstreamControl | undefined;
  /** The operators of the other nodes. */
  readonly peers: OperatorPeers;
  /**
   * Calls functions with each event and each finished call, until the returned function is called.
   *
   * @returns `undefined` if an operator watches already
   */
  watch(onEvent: Report, onCall: CallListener): (() => void) | undefined;
  /** Says how the node is. */
  status(): NodeStatus;
  /** Lists how far the limits of the endpoint are used. */
  limits(): readonly LimitUse[];
  /** Lists the sessions that the node has in memory. */
  liveSessions(): readonly LiveFacts[];
  /** Lists the running calls. */
  runningCalls(): RunningCall[];
  /** Lists the open connections of streams, those of `subscriptions/listen` last. */
  openStreams(): OpenStream[];
  /** Ends a session; returns whether there was one. */
  endSession(id: string): Promise<boolean>;
  /** Makes this node refuse new sessions, or accept them again. */
  drainHere(on: boolean): void;
  /** Makes every node refuse new sessions, or accept them again. */
  drainAll(on: boolean): Promise<void>;
}

/** How a node is. */
export interface NodeStatus {
  readonly state: "healthy" | "draining" | "closing";
  /** Whether every node refuses new sessions. */
  readonly drainingAll: boolean;
  /** The number of sessions in memory, running calls and open streams. */
  readonly counts: { readonly sessions: number; readonly calls: number; readonly streams: number };
}

/** How far a limit is used. */
export interface LimitUse {
  readonly limit: string;
  readonly used: number;
  readonly most: number;
}

/** A session that the node has in memory. */
export interface LiveFacts {
  /** The short hash of its id. */
  readonly session: string;
  /** The number of calls that run in it here. */
  readonly calls: number;
  /** The number of its open connections here. */
  readonly streams: number;
}

/** A running call. */
export interface RunningCall {
  /** The number of the request at this endpoint, as its events have it. */
  readonly id: number;
  /** What it is about, in names that the server has registered. */
  readonly target: RequestTarget | undefined;
  /** The short hash of its session; empty without one. */
  readonly session: string;
  readonly method: string;
  readonly params: JsonObject;
  readonly principal: Principal;
  readonly protocolVersion: ProtocolVersion;
  readonly client: ClientFacts;
  /** When it began, in milliseconds since the epoch; 0 if no operator watched then. */
  readonly begunAt: number;
  /** The parameters of the latest progress notification, if there is one. */
  readonly progress: JsonObject | undefined;
  /** Cancels it; returns `false` if it has ended. */
  cancel(): boolean;
}

/** An open connection of a stream. */
export interface OpenStream {
  /** Stays the same while the connection is open. */
  readonly id: string;
  /** The short hash of its session; empty for a subscription of the 2026 era. */
  readonly session: string;
  readonly principal: Principal;
  readonly kind: "request" | "server" | "listen";
  /** The number of the last event sent. */
  readonly cursor: number;
  /** The bytes that the client has not read yet. */
  readonly buffered: number;
  /** Whether the client reads too slowly. */
  readonly slow: boolean;
  /** Reads the number of the last event in the log, for a stream that is kept in one. */
  readonly last?: () => MaybePromise<number>;
}

/** The operators of the other nodes. Messages are sealed if they leave the process. */
export interface OperatorPeers {
  /** Whether there may be other nodes. */
  readonly shared: boolean;
  /** Receives their messages until the returned function is called; what no operator wrote is dropped. */
  listen(receive: (message: JsonObject, from: string) => unknown): () => void;
  /** Sends a message to all of them. */
  publish(message: object): Promise<void>;
  /** Sends a message to one; returns `false` if it has certainly not arrived. */
  send(to: string, message: object): Promise<boolean>;
}

/**
 * Returns the view of a handler.
 *
 * @throws {TypeError} If the value is not a handler of this package
 */
export function operatorView(handler: McpHandler): OperatorView {
  return new EndpointView(endpointOf(handler));
}

class EndpointView implements OperatorView {
  readonly peers: OperatorPeers;
  readonly #endpoint: OpenEndpoint;

  constructor(endpoint: OpenEndpoint) {
    this.#endpoint = endpoint;
    this.peers = peersOf(endpoint);
  }

  get clock(): Clock {
    return this.#endpoint.components.settings.clock;
  }

  get reporter(): Reporter {
    return this.#endpoint.components.reporter;
  }

  get sessions(): SessionStore {
    return this.#endpoint.components.sessions.store;
  }

  get upstreams(): UpstreamControl | undefined {
    return this.#endpoint.components.calls.dispatcher.upstreamControl;
  }

  watch(onEvent: Report, onCall: CallListener): (() => void) | undefined {
    const { calls, reporter } = this.#endpoint.components;
    const unwatch = calls.watch(onCall);
    if (unwatch === undefined) return undefined;
    const unlisten = reporter.listen(onEvent);
    return () => {
      unlisten();
      unwatch();
    };
  }

  status(): NodeStatus {
    const { components: { calls, cluster, sessions, streams }, eras } = this.#endpoint;
    return {
      state: calls.closing ? "closing" : cluster.draining ? "draining" : "healthy",
      drainingAll: cluster.drainingAll,
      counts: {
        sessions: sessions.live.size,
        calls: calls.slots.taken,
        streams: streams.slots.taken + eras.listens,
      },
    };
  }

  limits(): readonly LimitUse[] {
    const { components: { calls, sessions, settings, streams }, eras } = this.#endpoint;
    const { storeSettings: { caps, eventBudget }, listen } = settings;
    const { bytes } = streams.log;
    return [
      { limit: "limits.sessions", used: sessions.store.size, most: caps.sessions },
      { limit: "limits.requests", used: calls.slots.taken, most: settings.calls.most },
      { limit: "limits.streams", used: streams.slots.taken, most: settings.streams.most },
      { limit: "limits.listens", used: eras.listens, most: listen.most },
      ...bytes === undefined ? [] : [{
        limit: "limits.totalEventBytes",
        used: bytes,
        most: eventBudget?.totalBytes ?? 0,
      }],
      ...(this.upstreams?.limits() ?? [])
        .map(({ name, used, most }) => ({ limit: name, used, most })),
    ];
  }

  liveSessions(): readonly LiveFacts[] {
    return Array.from(this.#live, (session) => ({
      session: shortHash(session.id),
      calls: session.runningCalls,
      streams: session.openStreams,
    }));
  }

  runningCalls(): RunningCall[] {
    const running: RunningCall[] = [];
    for (const session of this.#live) {
      if (session.runningCalls === 0) continue;
      for (const call of session.inflight.all()) {
        if (call instanceof Call) running.push(this.#running(call, shortHash(session.id)));
      }
    }
    const { sessionless, handedOver } = this.#endpoint.components.calls;
    for (const call of [...sessionless.all(), ...handedOver.all()]) {
      if (!(call instanceof Call)) continue;
      running.push(
        this.#running(call, call.session === undefined ? "" : shortHash(call.session.id)),
      );
    }
    return running;
  }

  openStreams(): OpenStream[] {
    const { components: { streams: { log } }, eras } = this.#endpoint;
    const open: OpenStream[] = [];
    for (const session of this.#live) {
      if (session.openStreams === 0) continue;
      const principal = principalOf(session.record?.owner ?? "");
      for (const [name, { lastSent: cursor, buffered, behind: slow }] of session.connections) {
        open.push({
          id: shortHash(`${session.id} ${name}`),
          session: shortHash(session.id),
          principal,
          kind: name === SERVER_STREAM ? "server" : "request",
          cursor,
          buffered,
          slow,
          last: () => then(log.read(session.id, name, cursor), (slice) => slice?.last ?? cursor),
        });
      }
    }
    for (const [index, { owner, sent, buffered, full }] of eras.listenFacts.entries()) {
      open.push({
        id: `listen-${index}`,
        session: "",
        principal: principalOf(owner),
        kind: "listen",
        cursor: sent,
        buffered,
        slow: full,
      });
    }
    return open;
  }

  endSession(id: string): Promise<boolean> {
    return this.#endpoint.components.sessions.end(id, "ended");
  }

  drainHere(on: boolean): void {
    this.#endpoint.components.cluster.drainHere(on);
  }

  drainAll(on: boolean): Promise<void> {
    return this.#endpoint.components.cluster.drain(on);
  }

  get #live(): Iterable<LiveSession> {
    return this.#endpoint.components.sessions.live.values();
  }

  #running(call: Call, session: string): RunningCall {
    const { method, params, principal, protocolVersion, client, begunAt, progress } = call;
    return {
      id: call.serial,
      target: call.target,
      session,
      method,
      params,
      principal,
      protocolVersion,
      client,
      begunAt,
      progress,
      cancel: () => call.stop(new StopError("operator-cancelled")),
    };
  }
}

/** Connects the operators of a cluster's nodes. Their messages name principals, and what upstreams wrote. */
function peersOf({ components }: OpenEndpoint): OperatorPeers {
  const { calls: { states }, cluster, reporter, settings: { nodeKeys, shared } } = components;
  const seal = async (message: object): Promise<string> =>
    nodeKeys === undefined ? JSON.stringify(message) : await states.seal({ message }, BINDING);
  const open = async (text: string): Promise<unknown> =>
    // The envelope is signed: an operator of the cluster wrote it.
    nodeKeys === undefined ? JSON.parse(text) : (await states.open(text, BINDING))?.message;
  return {
    shared,
    listen: (receive) =>
      cluster.onOperator(({ text }, from) =>
        void reporter.background("answering another node's operator", async () => {
          const message = await open(text);
          if (isObject(message)) await receive(message, from);
        })
      ),
    publish: async (message) => cluster.publish({ kind: "operator", text: await seal(message) }),
    send: async (to, message) =>
      await cluster.send(to, { kind: "operator", text: await seal(message) }),
  };
}
