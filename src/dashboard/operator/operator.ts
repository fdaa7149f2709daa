/**
 * Watches an endpoint, on every node of its cluster, and acts on it.
 *
 * @module
 */
import type { ActSubject, McpHandler, OperatorActKind, Principal } from "../../../mod.ts";
import {
  checkNames,
  type OperatorView,
  operatorView,
  principalOf,
  type RunningCall,
} from "../../kit.ts";
import { type NodeReport, NodeReporter } from "./node_report.ts";
import { failed, type PeerAct, type PeerResult, Peers, uniqueName } from "./peers.ts";
import { type ListedSession, SessionDirectory } from "./session_directory.ts";
import { Statistics } from "./statistics.ts";
import { clientName, MOST_ID, shown } from "./texts.ts";
import type {
  CallRow,
  HistoryRow,
  LimitRow,
  MinuteRow,
  NodeRow,
  OperatorRequest,
  OperatorResult,
  OperatorSnapshot,
  RecentQuery,
  RecentRows,
  RefusalRow,
  SessionRow,
  StreamRow,
  ToolRow,
  UpstreamRow,
} from "./types.ts";

/** The number of sessions that are ended at a time. */
const END_BATCH = 50;

/** Options for {@linkcode createOperator}. */
export interface OperatorOptions {
  /**
   * The name of this node; give each node of a cluster another one.
   *
   * @default The handler's `events.nodeName`, so that events have the same, or its random id
   */
  readonly node?: string;
  /**
   * The name of the endpoint, where there are several.
   *
   * @default {""}
   */
  readonly endpoint?: string;
  /** Takes secrets out of what upstreams write to their standard error, and of their errors. */
  readonly redact?: (text: string) => string;
  /**
   * Whether the last calls are kept with their arguments. They may be private.
   *
   * @default {false}
   */
  readonly recordArguments?: boolean;
  /**
   * Whether the last calls are kept with their results, and with what a failed tool says. They may be private.
   *
   * @default {false}
   */
  readonly recordResults?: boolean;
}

/** Watches one endpoint, and acts on it. */
export interface Operator {
  /** The name of this node. */
  readonly node: string;
  /** The name of the endpoint. */
  readonly endpoint: string;
  /**
   * Returns the state of every node. Waits for a second at most: a node that doesn't answer is shown as it
   * was, and as `lost` after three seconds.
   */
  snapshot(): Promise<OperatorSnapshot>;
  /**
   * Acts on the endpoint. Never rejects: the result says what happened.
   *
   * @param request What to do
   * @param operator The id of the operator, for the event `operator-act`
   */
  act(request: OperatorRequest, operator: string): Promise<OperatorResult>;
  /**
   * Finds the last calls and refusals that every node keeps in memory, for the question why something failed.
   * Waits for five seconds at most.
   */
  recent(query: RecentQuery): Promise<RecentRows>;
  /**
   * Ends the sessions of a user, those with one client if it is given, and cancels the user's calls and
   * subscriptions, at every node: because a grant has ended, and not for an operator.
   *
   * @returns How much was ended
   */
  endSessionsOf(user: Pick<Principal, "id" | "issuer" | "clientId">): Promise<number>;
  /** Stops watching, and tells the other nodes. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * Begins to watch a handler: counts its calls and refusals from now on, and answers the operators of the
 * other nodes of its cluster. Give every node one; a node without isn't seen by the others.
 *
 * @param handler A handler that `createMcpHandler` returned
 * @throws {TypeError} If the value is not such a handler, or it has an operator already
 *
 * @example
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { createOperator } from "@mooring/mcp/dashboard";
 *
 * await using handler = createMcpHandler(new McpServer({ name: "demo", version: "1.0.0" }));
 * const operator = createOperator(handler, { node: "one" });
 * await handler.sessions.open();
 * const { nodes, sessions } = await operator.snapshot();
 * console.assert(nodes[0]?.state === "healthy" && sessions.length === 1);
 *
 * const ended = await operator.act(
 *   { act: "end-session", session: sessions[0]?.session ?? "" },
 *   "ada",
 * );
 * console.assert(ended.ok && handler.sessions.size === 0);
 * await operator.close();
 * ```
 */
export function createOperator(handler: McpHandler, options: OperatorOptions = {}): Operator {
  checkNames("createOperator()", options, {
    node: true,
    endpoint: true,
    redact: true,
    recordArguments: true,
    recordResults: true,
  });
  return new HandlerOperator(operatorView(handler), options);
}

class HandlerOperator implements Operator {
  readonly node: string;
  readonly endpoint: string;
  readonly #view: OperatorView;
  readonly #reporter: NodeReporter;
  readonly #statistics: Statistics;
  readonly #peers: Peers;
  readonly #directory: SessionDirectory;
  readonly #unwatch: () => void;
  #closed: Promise<void> | undefined;

  constructor(view: OperatorView, options: OperatorOptions) {
    const { node, endpoint = "", redact, recordArguments, recordResults } = options;
    const statistics = new Statistics({
      now: () => view.clock.now(),
      gauges: () => view.status().counts,
      ...redact !== undefined && { redact },
      recordArguments: flag("recordArguments", recordArguments),
      recordResults: flag("recordResults", recordResults),
    });
    this.#statistics = statistics;
    const unwatch = view.watch(
      statistics.onEvent,
      (...finished) => statistics.finished(...finished),
    );
    if (unwatch === undefined) {
      throw new TypeError("Close the handler's other operator or dashboard first");
    }
    this.#unwatch = unwatch;
    this.node = node ?? view.reporter.node;
    this.endpoint = endpoint;
    this.#view = view;
    this.#reporter = new NodeReporter(view, statistics, this.node);
    this.#directory = new SessionDirectory(view.sessions);
    this.#peers = new Peers({
      view,
      report: () => this.#reporter.report(),
      act: (act) => this.#actHere(act),
    });
  }

  async snapshot(): Promise<OperatorSnapshot> {
    const [listed] = await Promise.all([this.#listSessions(), this.#peers.refresh()]);
    const own = this.#reporter.report();
    const at = this.#view.clock.now();
    const nodes: Reported[] = [{ name: this.node, report: own, seenAt: at, lost: false }];
    const taken = new Set([this.node]);
    for (const peer of this.#peers.all) {
      const name = uniqueName(peer.report.node, peer.id, taken);
      taken.add(name);
      nodes.push({
        name,
        report: peer.report,
        seenAt: peer.seenAt,
        lost: this.#peers.isLost(peer),
      });
    }
    const { endpoint } = this;
    const alive = nodes.filter(({ lost }) => !lost);
    /** Adds to each row of every node what makes it a row of the snapshot. */
    const rows = <T>(of: (report: NodeReport) => readonly T[], keyOf: (row: T) => unknown) =>
      alive.flatMap(({ name: node, report }) =>
        of(report).map((row) => ({
          ...row,
          key: `${endpoint}/${node}/${keyOf(row)}`,
          endpoint,
          node,
        }))
      );
    return {
      at,
      nodes: nodes.map((node) => this.#nodeRow(node)),
      sessions: sessionRows(listed.sessions, alive, endpoint),
      calls: rows((report) => report.calls, ({ id }) => id) satisfies CallRow[],
      streams: rows((report) => report.streams, ({ id }) => id) satisfies StreamRow[],
      refusals: rows(
        (report) => report.refusals,
        ({ reason, status }) => `${reason} ${status}`,
      ) satisfies RefusalRow[],
      tools: rows(
        (report) => report.tools,
        ({ method, tool }) => `${method} ${tool}`,
      ) satisfies ToolRow[],
      upstreams: rows(
        (report) => report.upstreams,
        ({ upstream }) => upstream,
      ) satisfies UpstreamRow[],
      limits: rows((report) => report.limits, ({ limit }) => limit) satisfies LimitRow[],
      history: rows((report) => report.history, ({ at }) => at) satisfies HistoryRow[],
      grants: [],
      accounts: [],
      acts: [],
      omitted: alive.reduce((sum, { report }) => sum + report.omitted, listed.omitted),
    };
  }

  async act(request: OperatorRequest, operator: string): Promise<OperatorResult> {
    let result: PeerResult;
    try {
      result = await this.#act(request);
    } catch (error) {
      this.#view.reporter.failed(`acting for an operator (${request.act})`, error);
      result = failed("The act failed: see the log of this node");
    }
    const { ok, count, message, subject } = result;
    this.#view.reporter.report({
      type: "operator-act",
      act: actKindOf(request),
      operator,
      target: request.act === "end-principal"
        ? this.#userOf(request).principal ?? ""
        : targetOf(request),
      endpoint: this.endpoint,
      outcome: ok ? "done" : "failed",
      count,
      subject,
    });
    return { ok, count, message };
  }

  async recent(query: RecentQuery): Promise<RecentRows> {
    const peers = this.#peers.all.filter((peer) => !this.#peers.isLost(peer));
    const taken = new Set([this.node]);
    const asked = [
      { node: this.node, found: this.#actHere({ act: "find-recent", query }) },
      ...peers.map((peer) => {
        const node = uniqueName(peer.report.node, peer.id, taken);
        taken.add(node);
        return { node, found: this.#peers.act(peer, { act: "find-recent", query }) };
      }),
    ];
    const answers = await Promise.all(
      asked.map(async ({ node, found }) => ({ node, recent: (await found).recent })),
    );
    const { endpoint } = this;
    const rows = <T extends { readonly at: number }>(
      of: (recent: NonNullable<PeerResult["recent"]>) => readonly T[],
    ) =>
      answers.flatMap(({ node, recent }) =>
        recent === undefined ? [] : of(recent).map((row) => ({ ...row, endpoint, node }))
      ).sort((a, b) => b.at - a.at);
    return {
      calls: rows(({ calls }) => calls),
      refusals: rows(({ refusals }) => refusals),
      minutes: rows(({ minutes }) => minutes),
      missing: answers.filter(({ recent }) => recent === undefined).map(({ node }) => node),
    };
  }

  async endSessionsOf(
    { id, issuer, clientId }: Pick<Principal, "id" | "issuer" | "clientId">,
  ): Promise<number> {
    // Other nodes are known once they have been asked
    await this.#peers.refresh();
    const { count } = await this.#endPrincipal(
      shown(id, MOST_ID),
      shown(issuer, MOST_ID),
      clientId === undefined ? undefined : shown(clientId, MOST_ID),
    );
    return count;
  }

  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#unwatch();
    await this.#peers.close();
  }

  async #listSessions(): ReturnType<SessionDirectory["list"]> {
    try {
      return await this.#directory.list();
    } catch (error) {
      // The rest is worth seeing all the more while the store fails.
      this.#view.reporter.failed("listing the sessions", error);
      return { sessions: [], omitted: 0 };
    }
  }

  #nodeRow({ name, report, seenAt, lost }: Reported): NodeRow {
    const { state, drainingAll, watchedSince, counts, minute } = report;
    return {
      key: `${this.endpoint}/${name}`,
      endpoint: this.endpoint,
      node: name,
      state: lost ? "lost" : state,
      self: name === this.node,
      drainingAll,
      ...counts,
      minute,
      watchedSince,
      seenAt: lost ? seenAt : 0,
    };
  }

  async #act(request: OperatorRequest): Promise<PeerResult> {
    switch (request.act) {
      case "cancel-call":
        return await this.#at(request.node, { act: "cancel-call", id: request.id });
      case "end-session":
        return await this.#endSession(request.session);
      case "end-principal":
        return await this.#endPrincipal(request.principal, request.issuer ?? "");
      case "drain-node":
        return await this.#at(request.node, { act: "drain-node", on: request.on });
      case "drain-cluster":
        await this.#view.drainAll(request.on);
        return done(
          1,
          request.on ? "Every node refuses new sessions" : "Every node accepts new sessions",
        );
      case "restart-upstream":
        return await this.#everywhere({ act: "restart-upstream", upstream: request.upstream });
      case "end-grant":
      case "end-grants":
        return failed('Give the dashboard the option "grants"');
      case "disconnect-account":
        return failed('Give the dashboard the option "accounts"');
    }
  }

  /** Acts at a node, by its name. */
  async #at(node: string, act: PeerAct): Promise<PeerResult> {
    if (node === this.node) return await this.#actHere(act);
    const taken = new Set([this.node]);
    for (const peer of this.#peers.all) {
      const name = uniqueName(peer.report.node, peer.id, taken);
      taken.add(name);
      if (name !== node) continue;
      return this.#peers.isLost(peer)
        ? failed(`The node ${node} is lost`)
        : await this.#peers.act(peer, act);
    }
    return failed("There is no such node");
  }

  /** Acts at every node that isn't lost. */
  async #everywhere(act: PeerAct): Promise<OperatorResult> {
    const peers = this.#peers.all.filter((peer) => !this.#peers.isLost(peer));
    const results = await Promise.all([
      this.#actHere(act),
      ...peers.map((peer) => this.#peers.act(peer, act)),
    ]);
    const count = results.reduce((sum, { count }) => sum + count, 0);
    const problem = results.find(({ ok }) => !ok);
    if (problem !== undefined) return { ...problem, count };
    return results.length === 1 && results[0] !== undefined
      ? results[0]
      : done(count, `Done at ${results.length} nodes: ${count}`);
  }

  async #actHere(act: PeerAct): Promise<PeerResult> {
    switch (act.act) {
      case "cancel-call": {
        const call = this.#reporter.find(act.id);
        if (call?.cancel() !== true) return failed("The call has ended already");
        return { ...done(1, "The call is cancelled"), subject: this.#subjectOf(call) };
      }
      case "cancel-calls": {
        const isOf = userMatcher(act.principal, act.issuer, act.clientId);
        const cancelled = this.#reporter.callsOf(isOf).filter((call) => call.cancel()).length;
        const count = cancelled + this.#reporter.endListens(isOf);
        return done(count, `Cancelled ${count}`);
      }
      case "drain-node":
        this.#view.drainHere(act.on);
        return done(1, this.#drainText(act.on));
      case "find-recent": {
        const { recent } = this.#statistics;
        const { query } = act;
        const calls = recent.calls(query);
        const refusals = recent.refusals(query);
        return {
          ...done(calls.length, ""),
          recent: { calls, refusals, minutes: this.#minutes(query) },
        };
      }
      case "restart-upstream": {
        const ended = await this.#view.upstreams?.restart(act.upstream);
        if (ended === undefined) return failed("There is no such upstream");
        return done(ended, `Ended ${ended} sessions: the next call opens a new one`);
      }
    }
  }

  #drainText(on: boolean): string {
    const name = this.endpoint === "" ? this.node : `The endpoint ${this.endpoint} of ${this.node}`;
    if (on) return `${name} refuses new sessions`;
    return this.#view.status().drainingAll
      ? `${name} no longer drains by itself, but the cluster does`
      : `${name} accepts new sessions`;
  }

  /** Returns the last hour of the tool or the method that a query names. */
  #minutes({ tool, method }: RecentQuery): MinuteRow[] {
    if (tool === undefined && method === undefined) return [];
    const found = [...this.#statistics.tools.values()].find((each) =>
      (tool === undefined || shown(each.tool) === tool) &&
      (method === undefined || shown(each.method) === method)
    );
    return (found?.hour.minutes(this.#view.clock.now()) ?? [])
      .map(({ at, count, errors, buckets }) => ({ at, count, errors, buckets: [...buckets] }));
  }

  /** Says what a call is about, in the words of events. */
  #subjectOf({ id, method, target, session, principal }: RunningCall): ActSubject {
    return {
      request: id,
      method: shown(method),
      tool: target?.tool ?? target?.prompt,
      upstream: target?.upstream,
      session: session === "" ? undefined : session,
      ...this.#named(principal),
    };
  }

  #userOf({ principal: id, issuer = "" }: { principal: string; issuer?: string }) {
    return this.#named({ id, ...issuer !== "" && { issuer } });
  }

  #named(principal: Principal): Pick<ActSubject, "principal" | "issuer"> {
    return { principal: this.#view.reporter.principalName(principal), issuer: principal.issuer };
  }

  async #endSession(hash: string): Promise<PeerResult> {
    const { sessions } = await this.#directory.list();
    const [found, other] = sessions.filter((session) => session.hash === hash);
    if (found === undefined) return failed("The session has ended already");
    if (other !== undefined) {
      return failed("Two sessions have this short hash: end all sessions of the principal instead");
    }
    const known = await this.#view.endSession(found.record.id);
    if (!known) return failed("The session has ended already");
    const { owner } = found.record;
    const subject = {
      session: hash,
      ...owner !== undefined && this.#named(principalOf(owner)),
    };
    return { ...done(1, "The session has ended"), subject };
  }

  async #endPrincipal(
    principal: string,
    issuer: string,
    clientId?: string,
  ): Promise<PeerResult> {
    const isOf = userMatcher(principal, issuer, clientId);
    const { sessions } = await this.#directory.list();
    const ids = sessions.filter(({ record: { owner } }) =>
      owner !== undefined && isOf(principalOf(owner))
    )
      .map(({ record: { id } }) => id);
    let count = 0;
    while (ids.length > 0) {
      const ended = await Promise.all(
        ids.splice(0, END_BATCH).map((id) => this.#view.endSession(id)),
      );
      count += ended.filter((known) => known).length;
    }
    // Calls of the 2026 era belong to no session.
    const cancelled = await this.#everywhere({
      act: "cancel-calls",
      principal,
      issuer,
      ...clientId !== undefined && { clientId },
    });
    const { ok } = cancelled;
    const message = `Ended ${count} sessions, cancelled ${cancelled.count} other calls`;
    const subject = this.#userOf({ principal, issuer });
    return {
      ok,
      count: count + cancelled.count,
      message: ok ? message : cancelled.message,
      subject,
    };
  }
}

/** Checks an option that is true or false. */
function flag(name: string, value: unknown): boolean {
  if (value === undefined || typeof value === "boolean") return value === true;
  throw new TypeError(`Give true or false as "${name}": ${typeof value}`);
}

/** What a node reported, under the name that it has in a snapshot. */
interface Reported {
  readonly name: string;
  readonly report: NodeReport;
  readonly seenAt: number;
  readonly lost: boolean;
}

/** Returns a function that tells whether a principal is a user, as a snapshot shows the user. */
function userMatcher(
  principal: string,
  issuer: string,
  clientId?: string,
): (of: Principal) => boolean {
  return (of) =>
    shown(of.id, MOST_ID) === principal && shown(of.issuer, MOST_ID) === issuer &&
    (clientId === undefined || shown(of.clientId, MOST_ID) === clientId);
}

function sessionRows(
  sessions: readonly ListedSession[],
  nodes: readonly Reported[],
  endpoint: string,
): SessionRow[] {
  const live = new Map<string, { nodes: string[]; calls: number; streams: number }>();
  for (const { name, report } of nodes) {
    for (const [hash, calls, streams] of report.live) {
      let entry = live.get(hash);
      if (entry === undefined) live.set(hash, entry = { nodes: [], calls: 0, streams: 0 });
      entry.nodes.push(name);
      entry.calls += calls;
      entry.streams += streams;
    }
  }
  return sessions.map(({ hash, record, usedAt }) => {
    const { id, issuer = "", clientId = "" } = principalOf(record.owner ?? "");
    const { protocolVersion = "", client: { info }, createdAt } = record;
    const { nodes = [], calls = 0, streams = 0 } = live.get(hash) ?? {};
    return {
      key: `${endpoint}/${hash}/${createdAt}`,
      endpoint,
      session: hash,
      principal: shown(id, MOST_ID),
      issuer: shown(issuer, MOST_ID),
      clientId: shown(clientId),
      client: clientName(info),
      version: protocolVersion,
      beganAt: createdAt,
      usedAt: calls > 0 || streams > 0 ? 0 : usedAt,
      nodes,
      calls,
      streams,
    };
  });
}

function done(count: number, message: string): OperatorResult {
  return { ok: true, count, message };
}

/** Names what a request does, for events: that draining ends is an act of its own. */
export function actKindOf(request: OperatorRequest): OperatorActKind {
  if (request.act === "drain-node") return request.on ? request.act : "undrain-node";
  if (request.act === "drain-cluster") return request.on ? request.act : "undrain-cluster";
  return request.act;
}

/** Names what a request acts on, for events. */
export function targetOf(request: OperatorRequest): string {
  switch (request.act) {
    case "cancel-call":
      return `${request.node}/${request.id}`;
    case "end-session":
      return request.session;
    case "end-principal":
      return request.principal;
    case "drain-node":
      return request.node;
    case "drain-cluster":
      return "cluster";
    case "restart-upstream":
      return request.upstream;
    case "end-grant":
      return request.grant;
    case "end-grants":
      return request.principal;
    case "disconnect-account":
      return request.account;
  }
}
