/**
 * Gets the lists of upstreams, and what upstreams say about themselves, for one client: from the cache,
 * or within a short time.
 *
 * @module
 */
import { ErrorCode, type JsonObject, McpError, type Principal } from "../../../mod.ts";
import { isObject, shortHash, shown } from "../../kit.ts";
import { fetchList } from "../client/fetch_list.ts";
import { deadline, withDeadline } from "../shared/deadline.ts";
import { SignInRequiredError } from "../shared/sign_in_required.ts";
import { CHANGED_LISTS, LIST_KINDS, type ListKind, LISTS } from "../shared/list_kinds.ts";
import type { UpstreamCall, UpstreamFacts } from "../types.ts";
import { inTime, PendingAnswer, TimeoutError } from "./in_time.ts";
import { LATE_LIST_MS, type ListCache, type UpstreamList } from "./list_cache.ts";
import type { ManagedSession, UpstreamRequestContext } from "./managed_session.ts";
import { rightsKey } from "./rights.ts";
import { questionFor } from "./translate.ts";
import { LimitReachedError, UnusableError } from "./unusable.ts";
import type { ServedUpstreams } from "./served_upstreams.ts";
import type { UpstreamSessions } from "./upstream_sessions.ts";

/** How long an answer waits for the list that names what has failed, in milliseconds. */
const LEARN_MS = 1_000;
/** How long none of a client waits again after that, in milliseconds. */
const LEARN_AGAIN_MS = 60_000;

/** A client's request for a list, or for what upstreams say about themselves. */
export interface ListContext extends UpstreamRequestContext {
  /** Keeps the upstream sessions open until the returned function is called. */
  readonly retain: () => () => void;
}

/** Options for {@linkcode UpstreamLists}. */
export interface UpstreamListsInit {
  readonly served: ServedUpstreams;
  readonly sessions: UpstreamSessions;
  readonly cache: ListCache;
}

/** The start of a session, in events and keys. */
const OPENING = "opening";

/** Gets what one client is told about the upstreams of a view. */
export class UpstreamLists {
  readonly #served: ServedUpstreams;
  readonly #sessions: UpstreamSessions;
  readonly #cache: ListCache;
  /** The sessions that are opening, by upstream. */
  readonly #openings = new Map<string, PendingAnswer<UpstreamFacts>>();
  readonly #reported = new WeakSet<UpstreamList>();
  /** From when on a list may be read for the names in it, by kind and upstream. */
  readonly #learnAt = new Map<string, number>();
  /** Holds texts that stand for the lists that the client got last, where there is a policy. */
  readonly #shown = new Map<string, string>();

  /** Creates it for the client that the sessions belong to. */
  constructor({ served, sessions, cache }: UpstreamListsInit) {
    this.#served = served;
    this.#sessions = sessions;
    this.#cache = cache;
  }

  /**
   * Returns a list of one upstream, with the names that the client knows.
   *
   * @throws {McpError} If the list can't be fetched
   * @throws {AbortSignal["reason"]} If the signal of the context aborts
   */
  async get(name: string, kind: ListKind, context: ListContext): Promise<UpstreamList> {
    if (this.#isClosed(name, kind, context)) return [];
    return this.#cache.get(rightsKey(context), name, kind) ??
      await this.#fetching(name, kind, context).wait(context.signal);
  }

  /**
   * Returns a list of one upstream, if it can be had within a short time.
   *
   * @throws {LateError} If it can't, but may come later
   * @throws {McpError} If the list can't be fetched, or couldn't a short time ago
   * @throws {AbortSignal["reason"]} If the signal of the context aborts
   */
  async getInTime(name: string, kind: ListKind, context: ListContext): Promise<UpstreamList> {
    if (this.#isClosed(name, kind, context)) return [];
    const cached = this.#cache.get(rightsKey(context), name, kind);
    if (cached !== undefined) return cached;
    const who = this.#credentialsKey(context);
    return await inTime({
      ...this.#waitFor(name, context, this.#served.upstreams.size === 1),
      during: LISTS[kind].method,
      isShared: true,
      keys: [`${kind} ${who}`, `${OPENING} ${who}`],
      start: () => this.#fetching(name, kind, context),
    });
  }

  /**
   * Reads a list that nobody has read yet, within a second: what fails before anybody has listed it has a name in
   * events then. Never rejects, since nothing else depends on it.
   */
  async learn(name: string, kind: ListKind, context: ListContext): Promise<void> {
    const { known, settings: { clock } } = this.#served;
    const key = `${kind} ${name}`;
    if (known.isListed(name, kind) || clock.now() < (this.#learnAt.get(key) ?? 0)) return;
    this.#learnAt.set(key, clock.now() + LEARN_AGAIN_MS);
    const limit = deadline(clock, LEARN_MS, context.signal);
    try {
      await this.getInTime(name, kind, { ...context, signal: limit.signal });
    } catch {
      // It is reported where it is read for a client.
    } finally {
      limit.clear();
    }
  }

  /**
   * Fetches a page of a list for a client, within the time limit of a list. If that was in vain a short time
   * ago, fails at once.
   *
   * @param act Fetches it, until its signal aborts
   * @throws {TimeoutError} If it can't be had in time
   * @throws {AbortSignal["reason"]} If the signal of the context aborts
   */
  async passPage(
    upstream: string,
    kind: ListKind,
    context: ListContext,
    act: (signal: AbortSignal) => Promise<JsonObject>,
  ): Promise<JsonObject> {
    const { failures, report, settings: { clock, listTimeoutMs } } = this.#served;
    const key = `${kind} ${this.#credentialsKey(context)}`;
    const failure = failures.get(upstream, key);
    if (failure?.isSlow === true && clock.now() < failure.retryAt) throw failure.error;
    const limit = deadline(clock, listTimeoutMs, context.signal);
    try {
      const page = await act(limit.signal);
      failures.remove(upstream, key);
      return page;
    } catch (error) {
      if (error !== limit.signal.reason || context.signal.aborted) throw error;
      const slow = new TimeoutError(upstream);
      report({ type: "upstream-slow", upstream, during: LISTS[kind].method });
      failures.add(upstream, key, { error: slow, isSlow: true });
      throw slow;
    } finally {
      limit.clear();
    }
  }

  /**
   * Returns what an upstream says about itself, if it can be had within a short time; `undefined` if
   * there is no such upstream.
   *
   * @param isAlone Whether there is no other upstream to tell about
   * @throws {LateError} If it can't, but may come later
   * @throws {McpError} If the upstream can't be used, or couldn't a short time ago
   * @throws {AbortSignal["reason"]} If the signal of the context aborts
   */
  async factsInTime(
    name: string,
    context: ListContext,
    isAlone: boolean,
  ): Promise<UpstreamFacts | undefined> {
    const session = this.#sessions.get(name);
    if (session === undefined || session.facts !== undefined) return session?.facts;
    return await inTime({
      ...this.#waitFor(name, context, isAlone),
      during: OPENING,
      isShared: this.#sessions.isSession,
      keys: [`${OPENING} ${this.#credentialsKey(context)}`],
      start: () => this.#opening(session, context),
    });
  }

  /** Returns `true` at the first call for a list, so that its duplicates are reported once. */
  isFirstReport(list: UpstreamList): boolean {
    if (this.#reported.has(list)) return false;
    this.#reported.add(list);
    return true;
  }

  /** Returns the templates that were withheld from a list of templates. */
  withheldTemplates(list: UpstreamList): readonly string[] {
    return this.#cache.withheldTemplates.get(list) ?? [];
  }

  /** Returns a text that is equal for equal lists: for the list that the client got last, if it got one. */
  shownLast(upstream: string, kind: ListKind): string | undefined {
    return this.#shown.get(`${kind} ${upstream}`);
  }

  /** Invalidates cached lists of an upstream; all of them by default. */
  invalidate(upstream: string, kinds: readonly ListKind[] = LIST_KINDS): void {
    this.#cache.invalidate(upstream, kinds);
  }

  /** Removes everything about an upstream that was removed or replaced. */
  remove(upstream: string): void {
    this.#cache.remove(upstream);
    this.#openings.delete(upstream);
    for (const kind of LIST_KINDS) {
      this.#shown.delete(`${kind} ${upstream}`);
      this.#learnAt.delete(`${kind} ${upstream}`);
    }
  }

  /** Tells whether the policy withholds a whole list, so that its upstream needn't be asked. */
  #isClosed(name: string, kind: ListKind, { principal }: UpstreamRequestContext): boolean {
    return this.#served.settings.policies.rulesOf(principal, name)?.[kind].isClosed === true;
  }

  /** Returns the settings of a wait for an upstream. */
  #waitFor(upstream: string, { signal }: UpstreamRequestContext, isAlone: boolean) {
    const { clock, listWaitMs, listTimeoutMs, openTimeoutMs } = this.#served.settings;
    const { failures, upstreams } = this.#served;
    const isProgram = upstreams.get(upstream)?.upstream.kind === "stdio";
    const aloneMs = isProgram ? openTimeoutMs + listTimeoutMs : listTimeoutMs;
    const waitMs = isAlone ? aloneMs : listWaitMs;
    return { upstream, signal, isAlone, waitMs, failures, clock, report: this.#served.report };
  }

  /** Returns a key for everything that one owner is told with the same credentials. */
  #credentialsKey(context: UpstreamRequestContext): string {
    return `${shortHash(rightsKey(context))} ${this.#sessions.owner}`;
  }

  /** Opens the session with an upstream, unless that is happening already. */
  #opening(session: ManagedSession, context: ListContext): PendingAnswer<UpstreamFacts> {
    const { name } = session;
    const known = this.#openings.get(name);
    if (known !== undefined) return known;
    const { principal, request } = context;
    const { closing: signal } = this.#sessions;
    const opening = new PendingAnswer<UpstreamFacts>(
      async (pending) => {
        const facts = await this.#remembering(session, OPENING, context, async () => {
          return await session.ensureOpen({ principal, request, signal });
        });
        if (pending.isLate) this.#notifyChanged(name, facts);
        return facts;
      },
      signal,
      context.retain,
    );
    this.#openings.set(name, opening);
    const settle = () => {
      if (this.#openings.get(name) === opening) this.#openings.delete(name);
    };
    opening.answer.then(settle, settle);
    return opening;
  }

  /**
   * Fetches a list, unless that is happening already.
   *
   * @throws {TimeoutError} If it takes too long for too many other rights
   */
  #fetching(
    name: string,
    kind: ListKind,
    context: ListContext,
  ): PendingAnswer<UpstreamList> {
    const rights = rightsKey(context);
    const known = this.#cache.getPending(rights, name, kind);
    if (known !== undefined) return known;
    if (!this.#cache.hasRoom(name, kind)) throw new TimeoutError(name);
    const fetching = new PendingAnswer<UpstreamList>(
      (pending) => this.#fetch(name, kind, context, pending),
      this.#sessions.closing,
      context.retain,
    );
    this.#cache.setPending(rights, name, kind, fetching);
    return fetching;
  }

  async #fetch(
    name: string,
    kind: ListKind,
    context: ListContext,
    pending: PendingAnswer<UpstreamList>,
  ): Promise<UpstreamList> {
    const { clock, listTimeoutMs: ms, listCacheMs } = this.#served.settings;
    const { principal, request } = context;
    const session = this.#sessions.get(name);
    if (session === undefined) return [];
    const generation = this.#cache.generation(name, kind);
    const facts = session.facts ?? await this.#opening(session, context).answer;
    const entries = await this.#remembering(session, kind, context, () =>
      withDeadline(
        { clock, ms, signal: this.#sessions.closing },
        (signal) => this.#fetchFrom(session, facts, kind, { principal, request, signal }),
      ));
    if (this.#sessions.get(name) !== session) return entries;
    if (this.#served.settings.policies.isSet && this.#sessions.isSession) {
      const text = JSON.stringify(entries);
      this.#shown.set(`${kind} ${name}`, `${text.length} ${shortHash(text)}`);
    }
    this.#served.known.addAll(name, kind, entries);
    const can = facts.capabilities[LISTS[kind].capability];
    const isLasting = this.#sessions.isSession && isObject(can) && can.listChanged === true;
    const keepMs = pending.isLate ? Math.max(listCacheMs, LATE_LIST_MS) : listCacheMs;
    const rights = rightsKey(context);
    this.#cache.set(rights, name, kind, generation, entries, isLasting ? Infinity : keepMs);
    if (pending.isLate && entries.length > 0) this.#notifyChanged(name, facts, kind);
    return entries;
  }

  async #fetchFrom(
    session: ManagedSession,
    facts: UpstreamFacts,
    kind: ListKind,
    { principal, request, signal }: UpstreamRequestContext,
  ): Promise<readonly JsonObject[]> {
    const { name } = session;
    const ask: UpstreamCall["ask"] = async (method, params) => {
      const visible = questionFor(method, params, this.#sessions.facts.capabilities);
      const answer = this.#sessions.ask(method, visible, signal);
      if (answer !== undefined) return await answer;
      throw new McpError(ErrorCode.Refused, "Ask during a call");
    };
    const withheld: string[] = [];
    const names: string[] = [];
    const entries = await fetchList({
      upstream: name,
      facts,
      present: this.#presenting(name, kind, principal, withheld, names),
      kind,
      limits: this.#served.settings.limits,
      report: this.#served.report,
      rename: (own) => this.#served.rename(name, own),
      request: (method, params) =>
        session.request({ method, params, signal, principal, request, notify() {}, ask }),
    });
    if (this.#isWithheld(name, kind, principal, names)) return [];
    if (withheld.length > 0) this.#cache.withheldTemplates.set(entries, withheld);
    return kind === "tools" ? entries.map((tool) => this.#served.defined(name, tool)) : entries;
  }

  /**
   * Returns what shows entries as the policy says; `undefined` without rules.
   *
   * @param withheld Takes the templates that are withheld
   * @param names Takes the upstream's names of all entries
   */
  #presenting(
    upstream: string,
    kind: ListKind,
    principal: Principal,
    withheld: string[],
    names: string[],
  ): ((entry: JsonObject) => JsonObject | undefined) | undefined {
    const { settings: { policies, limits }, report } = this.#served;
    const rules = policies.rulesOf(principal, upstream)?.[kind];
    if (rules === undefined) return undefined;
    const { id, method: list } = LISTS[kind];
    return (entry) => {
      const presented = rules.present(entry, id, (name, digest, isNew) => {
        if (!policies.isFirstReport(upstream, list, name, digest)) return;
        const reason = isNew ? "new" : "changed";
        report({ type: "upstream-definition-withheld", upstream, list, name: shown(name), reason });
      });
      const own = entry[id];
      if (typeof own === "string") names.push(own);
      const counts = kind === "templates" && withheld.length < limits.listEntries;
      if (presented === undefined && counts && typeof own === "string") withheld.push(own);
      return presented;
    };
  }

  /** Reports the rules that match none of an upstream's names, and tells whether it is withheld. */
  #isWithheld(
    upstream: string,
    kind: ListKind,
    principal: Principal,
    names: readonly string[],
  ): boolean {
    const { settings: { policies }, report } = this.#served;
    const { method: list } = LISTS[kind];
    for (const { rule, pattern, withholds } of policies.check(principal, upstream, kind, names)) {
      report({ type: "upstream-rule-unmatched", upstream, list, rule, pattern, withholds });
    }
    return policies.isWithheld(upstream);
  }

  /** Does something with an upstream, and remembers for a while if that fails. */
  async #remembering<T>(
    session: ManagedSession,
    what: ListKind | typeof OPENING,
    context: UpstreamRequestContext,
    act: () => Promise<T>,
  ): Promise<T> {
    const { name } = session;
    const { failures } = this.#served;
    const { clock, listWaitMs } = this.#served.settings;
    const key = `${what} ${this.#credentialsKey(context)}`;
    const startedAt = clock.now();
    try {
      const value = await act();
      failures.remove(name, key);
      return value;
    } catch (error) {
      // That the client's session or the upstream is gone says nothing about the upstream.
      if (this.#sessions.closing.aborted || this.#sessions.get(name) !== session) throw error;
      const failure = this.#failed(name, what, error);
      // A place may become free at any time.
      const isBusy = error instanceof LimitReachedError;
      const isSlow = !isBusy && clock.now() - startedAt >= listWaitMs;
      failures.add(name, key, { error: failure, isSlow }, isBusy ? 0 : undefined);
      throw failure;
    }
  }

  /** Reports a failure, and returns the error that the client may see. */
  #failed(upstream: string, what: ListKind | typeof OPENING, error: unknown): unknown {
    if (error instanceof SignInRequiredError) return error;
    if (!(error instanceof UnusableError)) {
      const during = what === OPENING ? what : LISTS[what].method;
      this.#served.report({ type: "upstream-failed", upstream, during, error });
    }
    return error instanceof McpError ? error : new TimeoutError(upstream);
  }

  /** Notifies the client that a list of an upstream is there; by default all that the upstream has. */
  #notifyChanged(name: string, { capabilities }: UpstreamFacts, only?: ListKind): void {
    for (const [method, kinds] of CHANGED_LISTS) {
      const has = kinds.some((kind) =>
        only === undefined ? capabilities[LISTS[kind].capability] !== undefined : only === kind
      );
      if (has && this.#sessions.maySee(name, kinds)) this.#sessions.notify({ method });
    }
  }
}
