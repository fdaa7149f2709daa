/**
 * Answers calls that run long before their clients give up, and adds the tools by which the model fetches
 * the results. Wraps any dispatcher.
 *
 * @module
 */
import { CALL_KEY, callKeyOf } from "../calls/call_key.ts";
import type { HandedOver, HandOver, HandsOver, LongCall } from "../calls/hand_over.ts";
import { StopError } from "../calls/lifetime/stop.ts";
import { progressToken } from "../calls/progress.ts";
import { storeFailed } from "../calls/refused_error.ts";
import { MemoryTaskStore } from "../cluster/memory/tasks.ts";
import { lostProgress, nodeOf, RunnerBeats } from "../cluster/tasks/beats.ts";
import { knowsTasks, taskIdOf, unknownTask, wireTask } from "../cluster/tasks/wire.ts";
import type { Clock } from "../internal/clock.ts";
import { type Delay, DelayLine } from "../internal/delay_line.ts";
import { randomText } from "../internal/random.ts";
import { type MaybePromise, then } from "../internal/types.ts";
import { toolResultFor } from "../protocol/downgrade.ts";
import { MetaKey } from "../protocol/envelope.ts";
import { errorResult } from "../protocol/error_result.ts";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { McpEvent, SessionEndReason } from "../protocol/events.ts";
import type {
  Dispatcher,
  DispatcherHost,
  Exchange,
  HostPeers,
  ListenExchange,
  NotificationExchange,
  Principal,
  UpstreamControl,
} from "../protocol/exchange.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { exchangeWith, type RequestMessage, type Route } from "../protocol/route.ts";
import type { Implementation } from "../protocol/shapes.ts";
import {
  hasEnded,
  type TaskRecord,
  type TaskRerun,
  TASKS,
  type TaskStore,
} from "../protocol/task_store.ts";
import { isModern } from "../protocol/versions.ts";
import { ownerKey } from "../sessions/owner.ts";
import { LongCallRun, statusOf } from "./long_call_run.ts";
import { LONG_CALL_META, type LongCallSettings } from "./options.ts";
import { BEGUN_AGAIN, CANCEL, runsOn, stillRuns, TOOLS, UNKNOWN_HANDLE, WAIT } from "./texts.ts";

/** The time between looks at a call that runs elsewhere, in milliseconds. */
const POLL_MS = 500;

/** The time between attempts to store what a call ended with, in milliseconds. */
const RETRY_MS = 1_000;

/** The time after which clients that know tasks look again, in milliseconds. */
const TASK_POLL_MS = 1_000;

/** What the ids of calls begin with, which tells them from other tasks of the store. */
const PREFIX = "call_";

/** The request of which the tools here are a part for `authorize`. */
const TOOL_LIST: RequestMessage = { method: "tools/list", params: {} };

/** The most characters of the arguments of a call that may run again. */
const MOST_CHARS = 65_536;

/** The most pages of a list that are read to find a tool. */
const MOST_PAGES = 100;

/** The most different times of tools after which their calls are answered. */
const MOST_TIMES = 1_000;

/** Where the calls are kept, and under which name this process keeps them. */
interface Place {
  readonly store: TaskStore;
  readonly runner: string;
  readonly peers: HostPeers | undefined;
}

/** A dispatcher whose calls are answered early when they run long. */
export class LongCalls implements Dispatcher, HandOver {
  readonly #inner: Dispatcher;
  readonly #settings: LongCallSettings;
  readonly #clock: Clock;
  /** Waits by their times: one for the handler, and one for each time that tools have of their own. */
  readonly #waits = new Map<number, DelayLine>();
  readonly #expiry: DelayLine;
  readonly #retries: DelayLine;
  readonly #polls: DelayLine;
  readonly #runs = new Map<string, LongCallRun>();
  #place: Place | undefined;
  #host: DispatcherHost | undefined;
  #closed = false;

  constructor(inner: Dispatcher, settings: LongCallSettings, clock: Clock) {
    this.#inner = inner;
    this.#settings = settings;
    this.#clock = clock;
    this.#expiry = new DelayLine(clock, settings.ttlMs);
    this.#retries = new DelayLine(clock, RETRY_MS);
    this.#polls = new DelayLine(clock, POLL_MS);
  }

  get pinned(): boolean | undefined {
    return this.#inner.pinned;
  }
  get restores(): boolean | undefined {
    return this.#inner.restores;
  }
  get serverInfo(): Implementation | undefined {
    return this.#inner.serverInfo;
  }
  get listChanged(): readonly string[] | undefined {
    return this.#inner.listChanged;
  }
  get resourceUpdates(): boolean | undefined {
    return this.#inner.resourceUpdates;
  }
  get upstreamControl(): UpstreamControl | undefined {
    return this.#inner.upstreamControl;
  }

  listChangedIn(sessionId: string): readonly string[] | undefined {
    return this.#inner.listChangedIn?.(sessionId);
  }

  refuseLongCalls(): () => void {
    return this.#inner.refuseLongCalls?.() ?? (() => {});
  }

  listening(listen: ListenExchange): void {
    this.#inner.listening?.(listen);
  }

  refuseAnswersOnce(): () => void {
    return this.#inner.refuseAnswersOnce?.() ?? (() => {});
  }

  notified(exchange: NotificationExchange): MaybePromise<void> {
    return this.#inner.notified?.(exchange);
  }

  sessionEnded(sessionId: string, reason: SessionEndReason): MaybePromise<void> {
    return this.#inner.sessionEnded?.(sessionId, reason);
  }

  route(message: RequestMessage, principal: Principal): Route {
    const route = this.#inner.route(message, principal);
    switch (message.method) {
      case "tools/list":
        return changing(route, (result, client) => knowsTasks(client) ? result : withTools(result));
      case "server/discover":
        return changing(route, withTasks);
      case "tasks/get":
        return this.#task(route, async (exchange, task) => {
          return this.#result(exchange, wireTask(task, TASK_POLL_MS));
        });
      case "tasks/update":
        // The tools here ask nothing
        return this.#task(route, async (exchange) => this.#result(exchange, {}));
      case "tasks/cancel":
        return this.#task(route, async (exchange, task) => {
          if (await this.#cancelTask(exchange, task) === undefined) throw unknownTask();
          return this.#result(exchange, {});
        });
      case "tools/call":
        return this.#call(route, message, principal);
      default:
        return route;
    }
  }

  attach(host: DispatcherHost): () => void {
    this.#host = host;
    this.#closed = false;
    const detach = this.#inner.attach?.(host);
    const leave = this.#join(host.peers);
    return () => {
      detach?.();
      this.#closed = true;
      for (const line of [this.#expiry, this.#retries, this.#polls, ...this.#waits.values()]) {
        line.clear();
      }
      leave?.();
      this.#host = undefined;
    };
  }

  wait({ method, longCalls, isOwn }: OwnRoute, due: () => void): Delay | undefined {
    if (method !== "tools/call" || longCalls === false || isOwn) return undefined;
    return this.#line(longCalls?.afterMs ?? this.#settings.afterMs).add(due);
  }

  async begin(call: LongCall, route: Route): Promise<HandedOver | undefined> {
    const { ttlMs, caps } = this.#settings;
    const { store, runner } = this.#kept;
    const clock = this.#clock;
    const now = clock.now();
    const id = `${PREFIX}${randomText(32)}`;
    const status = statusOf(call.progress);
    const owner = ownerKey(call.principal);
    const rerun = this.#rerunOf(call, route);
    const record: TaskRecord = {
      id,
      owner,
      createdAt: now,
      updatedAt: now,
      ttlMs,
      state: { status: "working" },
      ...status !== undefined && { message: status },
      runner,
      ...rerun !== undefined && { rerun },
    };
    if (!await store.create(record, caps)) return undefined;
    const tool = String(route.target?.tool ?? call.params.name);
    const text = runsOn(tool, id, status);
    // A client that knows the tool's output schema takes a result without the data for broken
    const isError = route.outputSchema !== false && { isError: true };
    const answer = knowsTasks(call)
      ? { resultType: "task", ...wireTask(record, TASK_POLL_MS) }
      : { content: [{ type: "text", text }], _meta: { [LONG_CALL_META]: id }, ...isError };
    return this.#run(call, record, answer, () => store.delete(id));
  }

  /** Returns what another node needs to run a call again, if its tool may. */
  #rerunOf(call: LongCall, { retry }: Route): TaskRerun | undefined {
    // A task is looked at by polling: nothing there could run it again
    if (retry !== true || this.#place?.peers === undefined || knowsTasks(call)) return undefined;
    const { name, arguments: args } = call.params;
    if (JSON.stringify(args ?? {}).length > MOST_CHARS) return undefined;
    const key = callKeyOf(call.params);
    return { name: String(name), arguments: args, answers: key === undefined ? {} : { key } };
  }

  /** Keeps a call that runs here, until its time is over. */
  #run(
    call: LongCall,
    { id, owner, createdAt, ttlMs, rerun }: TaskRecord,
    answer: JsonObject,
    discard: () => MaybePromise<unknown>,
  ): LongCallRun {
    const { store, runner } = this.#kept;
    const clock = this.#clock;
    const leftMs = Math.max(0, createdAt + ttlMs - clock.now());
    let forget = () => {};
    const run: LongCallRun = new LongCallRun(call, {
      id,
      owner,
      answer: this.#result(call, answer),
      mayRunAgain: rerun !== undefined,
      store,
      runner,
      resultBytes: this.#settings.resultBytes,
      retries: this.#retries,
      now: () => clock.now(),
      useless: () => this.#closed || clock.now() - createdAt >= ttlMs,
      report: (event) => this.#report(event),
      failed: (error) => this.#report({ type: "error", during: "storing a result", error }),
      over: () => {
        forget();
        this.#runs.delete(id);
      },
      discarded: () => this.#background("discarding a call", discard),
    });
    this.#runs.set(id, run);
    const expire = () => {
      this.#runs.get(id)?.stop(new StopError("timeout"));
      this.#background("deleting a call", () => store.delete(id));
    };
    if (leftMs === ttlMs) this.#expiry.add(expire);
    else forget = clock.timer(leftMs, expire);
    return run;
  }

  /** Shares the calls with the other handlers of the store. */
  #join(peers: HostPeers | undefined): (() => void) | undefined {
    const store = peers?.tasks;
    if (peers === undefined || store === undefined) return undefined;
    const runner = `${peers.node}/${randomText(8)}`;
    this.#place = { store, runner, peers };
    const beats = new RunnerBeats({
      store,
      clock: this.#clock,
      runner,
      onLapsed: () => this.#abandonEnded(),
      onError: (error) => this.#report({ type: "error", during: "watching calls", error }),
    });
    const deafen = peers.receive(({ longCall }) => {
      const run = typeof longCall === "string" ? this.#runs.get(longCall) : undefined;
      run?.stop(new StopError("cancelled"));
    });
    return () => {
      beats.stop();
      deafen();
      this.#place = undefined;
      this.#background("leaving the other nodes", () => store.leave(runner));
    };
  }

  get #kept(): Place {
    return this.#place ??= {
      store: new MemoryTaskStore(this.#clock),
      runner: randomText(16),
      peers: undefined,
    };
  }

  #line(ms: number): DelayLine {
    let line = this.#waits.get(ms);
    if (line === undefined) {
      if (this.#waits.size >= MOST_TIMES) return this.#line(this.#settings.afterMs);
      this.#waits.set(ms, line = new DelayLine(this.#clock, ms));
    }
    return line;
  }

  /** Answers a request about a task that is one of the calls here; all others are the server's. */
  #task(
    route: Route,
    run: (exchange: Exchange, task: TaskRecord) => Promise<JsonObject>,
  ): Route {
    const { params: { taskId } } = route;
    if (typeof taskId !== "string" || !taskId.startsWith(PREFIX)) return route;
    return {
      ...fieldsOf(route),
      served: true,
      run: async (exchange) => {
        const id = taskIdOf(exchange);
        const owner = ownerKey(exchange.principal);
        const task = await this.#stored(exchange, () => this.#kept.store.get(id, owner));
        return task === undefined ? await runElsewhere(route, exchange) : await run(exchange, task);
      },
    };
  }

  /**
   * Returns the route of a call. One of a tool here is about a handle: without a call that has it, the call is
   * one of the server's own tool with that name, which the server may not have listed yet.
   */
  #call(route: Route, message: RequestMessage, principal: Principal): Route {
    const { method, params } = route;
    const answer = params.name === WAIT
      ? (exchange: Exchange, call: TaskRecord) => this.#wait(exchange, call)
      : params.name === CANCEL
      ? (exchange: Exchange, call: TaskRecord) => this.#cancel(exchange, call)
      : undefined;
    if (answer === undefined) return route;
    const own = (find: (exchange: Exchange) => MaybePromise<TaskRecord | string>): OwnRoute => ({
      method,
      params,
      target: { tool: String(params.name) },
      authorizedAs: TOOL_LIST,
      // A tool of the server's own may be another matter.
      retry: !isListed(route),
      isOwn: true,
      run: async (exchange) => {
        const found = await find(exchange);
        if (typeof found !== "string") return await answer(exchange, found);
        return this.#result(exchange, errorResult(found));
      },
    });
    return {
      ...own((exchange) => this.#find(exchange, params)),
      settle: async (exchange, proceed) => {
        const found = await this.#find(exchange, params);
        const here = own(() => found);
        if (typeof found !== "string") {
          const again = params.name === WAIT && await this.#beginAgain(exchange, found, principal);
          return again ? await settled(again, exchange, proceed) : await proceed(here);
        }
        return await this.#settleElsewhere(exchange, message, route, principal, (route) => {
          return proceed(isListed(route) ? route : here);
        });
      },
    };
  }

  /** Finds the server's own route of a call, and lists its tools where it doesn't know the tool yet. */
  async #settleElsewhere(
    exchange: Exchange,
    message: RequestMessage,
    route: Route,
    principal: Principal,
    proceed: (route: Route) => MaybePromise<JsonObject>,
  ): Promise<JsonObject> {
    if (route.settle !== undefined || isListed(route)) {
      return await settled(route, exchange, proceed);
    }
    let cursor: unknown;
    for (let page = 0; page < MOST_PAGES; page++) {
      const params = cursor === undefined ? {} : { cursor };
      const list = this.#inner.route({ ...TOOL_LIST, params }, principal);
      ({ nextCursor: cursor } = await list.run(exchangeWith(exchange, list)));
      if (cursor === undefined) break;
    }
    return await proceed(this.#inner.route(message, principal));
  }

  /**
   * Begins a call again whose node was lost, in the request that waits for its result: that is answered at
   * once, and the tool runs with its rights.
   *
   * @returns The route to go on with; `undefined` if the call doesn't begin again here
   */
  async #beginAgain(
    exchange: Exchange,
    task: TaskRecord,
    principal: Principal,
  ): Promise<Route | undefined> {
    const { id, owner, rerun } = task;
    // A running request can be handed over, others can't
    const { handOver } = exchange as Partial<HandsOver>;
    if (!isLost(task) || rerun === undefined || handOver === undefined) return undefined;
    const { store, runner } = this.#kept;
    const { name, arguments: args, answers: { key } } = rerun;
    const _meta = key === undefined ? {} : { _meta: { [CALL_KEY]: key } };
    const route = this.#inner.route(
      { method: "tools/call", params: { name, arguments: args, ..._meta } },
      principal,
    );
    const lose = () => store.update(id, runner, lostProgress(this.#clock));
    const take = async (call: LongCall) => {
      if (!await this.#stored(exchange, () => store.take(id, owner, runner))) return undefined;
      if (route.retry !== true) return void await this.#stored(exchange, lose);
      const state = { status: "working" } as const;
      const progress = { state, message: BEGUN_AGAIN, updatedAt: this.#clock.now() };
      await this.#stored(exchange, () => store.update(id, runner, progress));
      const { rerun: _, ...taken } = task;
      const content = [{ type: "text", text: stillRuns(id, BEGUN_AGAIN) }];
      return this.#run(call, taken, { content }, lose);
    };
    return await handOver.call(exchange, take) ? route : undefined;
  }

  async #wait(exchange: Exchange, found: TaskRecord): Promise<JsonObject> {
    const { id, owner } = found;
    const { store } = this.#kept;
    // A client whose wait runs again has waited long enough.
    const until = this.#clock.now() + (exchange.begunAgain ? 0 : this.#settings.afterMs);
    let task: TaskRecord | undefined = found;
    let told = 0;
    const tell = (progress: JsonObject | undefined) => {
      const token = progressToken(exchange.params);
      if (token === undefined || progress === undefined) return;
      const params = { ...progress, progressToken: token };
      exchange.notify({ method: "notifications/progress", params });
    };
    for (;;) {
      if (task === undefined) return this.#result(exchange, errorResult(UNKNOWN_HANDLE));
      if (hasEnded(task)) return this.#end(exchange, task);
      if (isLost(task) || this.#clock.now() >= until) {
        const text = stillRuns(id, isLost(task) ? BEGUN_AGAIN : task.message);
        return this.#result(exchange, { content: [{ type: "text", text }] });
      }
      const before: string | undefined = task.message;
      await this.#look(exchange.signal, id, tell);
      task = await this.#stored(exchange, () => store.get(id, owner));
      // A call of another node tells only how far it is, in words
      const message = task?.message;
      if (!this.#runs.has(id) && message !== undefined && message !== before) {
        tell({ progress: ++told, message });
      }
    }
  }

  /** Waits until a call is over, or some time has passed, and tells of its progress meanwhile. */
  #look(
    signal: AbortSignal,
    id: string,
    tell: (progress: JsonObject | undefined) => void,
  ): Promise<void> {
    signal.throwIfAborted();
    return new Promise<void>((resolve, reject) => {
      const settle = (end: () => void) => {
        delay.cancel();
        unwatch?.();
        signal.removeEventListener("abort", stopped);
        end();
      };
      const stopped = () => settle(() => reject(signal.reason));
      const delay = this.#polls.add(() => settle(resolve));
      const run = this.#runs.get(id);
      const unwatch = run?.watch((progress) => {
        if (progress === undefined) settle(resolve);
        else tell(progress);
      });
      signal.addEventListener("abort", stopped, { once: true });
    });
  }

  /** Answers with what a call ended with. */
  #end(exchange: Exchange, { state }: TaskRecord): JsonObject {
    if (state.status === "failed") {
      const { code, message, data } = state.error;
      throw new McpError(code, message, data);
    }
    if (state.status !== "completed") {
      return this.#result(exchange, errorResult("The call was cancelled"));
    }
    const { resultType: _, ...result } = state.result;
    return this.#result(exchange, toolResultFor(exchange.protocolVersion, result, false));
  }

  async #cancel(exchange: Exchange, found: TaskRecord): Promise<JsonObject> {
    const task = await this.#cancelTask(exchange, found);
    if (task === undefined) return this.#result(exchange, errorResult(UNKNOWN_HANDLE));
    const text = hasEnded(task) ? "The call had ended already" : "The call was cancelled";
    return this.#result(exchange, { content: [{ type: "text", text }] });
  }

  /**
   * Cancels a call, unless it has ended.
   *
   * @returns The call as it was before; `undefined` if its time is over
   */
  async #cancelTask(
    exchange: Exchange,
    { id, owner }: TaskRecord,
  ): Promise<TaskRecord | undefined> {
    const { store, peers } = this.#kept;
    const progress = { state: { status: "cancelled" }, updatedAt: this.#clock.now() } as const;
    const task = await this.#stored(exchange, () => store.cancel(id, owner, progress));
    const run = this.#runs.get(id);
    if (run !== undefined) run.stop(new StopError("cancelled"));
    else if (task !== undefined && !hasEnded(task) && !isLost(task) && peers !== undefined) {
      peers.sendRepeatedly(nodeOf(task.runner), { longCall: id });
    }
    return task;
  }

  /** Finds the call of a handle, or returns what to tell the model. */
  async #find(exchange: Exchange, { arguments: args }: JsonObject): Promise<TaskRecord | string> {
    const handle = isObject(args) ? args.handle : undefined;
    if (typeof handle !== "string") {
      return 'Give the handle from the answer of the call as "handle"';
    }
    const owner = ownerKey(exchange.principal);
    const { store } = this.#kept;
    return await this.#stored(exchange, () => store.get(handle, owner)) ?? UNKNOWN_HANDLE;
  }

  /** Completes a result for the version of its client. */
  #result(
    { protocolVersion }: Pick<Exchange, "protocolVersion">,
    result: JsonObject,
  ): JsonObject {
    if (!isModern(protocolVersion)) return result;
    const { serverInfo } = this.#inner;
    const meta = isObject(result._meta) ? result._meta : {};
    return {
      resultType: "complete",
      ...result,
      _meta: serverInfo === undefined ? meta : { ...meta, [MetaKey.ServerInfo]: serverInfo },
    };
  }

  /** Stops the tools of calls that have ended without this process. */
  async #abandonEnded(): Promise<void> {
    const { store, runner } = this.#kept;
    await Promise.all([...this.#runs].map(async ([id, run]) => {
      const task = await store.get(id, run.owner);
      if (task === undefined || hasEnded(task) || task.runner !== runner) {
        run.stop(new StopError("cancelled"));
      }
    }));
  }

  /** @throws {CallRefusedError} With 503, if the store fails */
  async #stored<T>(exchange: Exchange, call: () => MaybePromise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw storeFailed(exchange, error, "task store");
    }
  }

  #background(during: string, work: () => unknown): void {
    (async () => await work())().catch((error) => this.#report({ type: "error", during, error }));
  }

  #report(event: McpEvent): void {
    this.#host?.report(event);
  }
}

/** A route, which may be that of one of the tools here. */
type OwnRoute = Route & { readonly isOwn?: boolean };

/** Tells whether a call is one of a tool that the server has listed under the very name that it was sent with. */
function isListed({ target, params }: Route): boolean {
  return target?.tool !== undefined && target.tool === params.name;
}

/** Tells whether the node of a call was lost, and another is to run it again. */
function isLost(task: TaskRecord): boolean {
  return task.runner === "" && !hasEnded(task);
}

/** Continues with a route, once it is whole. */
function settled(
  route: Route,
  exchange: Exchange,
  proceed: (route: Route) => MaybePromise<JsonObject>,
): MaybePromise<JsonObject> {
  return route.settle === undefined ? proceed(route) : route.settle(exchange, proceed);
}

/** Answers a request about a task that isn't here, as the server does if it has tasks. */
async function runElsewhere(route: Route, exchange: Exchange): Promise<JsonObject> {
  try {
    return await route.run(exchange);
  } catch (error) {
    const hasNone = error instanceof McpError && error.code === ErrorCode.MethodNotFound;
    throw hasNone ? unknownTask() : error;
  }
}

/** Returns the parts of a route that don't depend on how it runs. */
function fieldsOf({ method, params, target, served, scopes, authorizedAs }: Route) {
  return {
    method,
    params,
    target,
    scopes,
    ...served !== undefined && { served },
    ...authorizedAs !== undefined && { authorizedAs },
  };
}

/** Returns a route whose results are changed. */
function changing(
  route: Route,
  change: (result: JsonObject, exchange: Exchange) => JsonObject,
): Route {
  const { settle, hide } = route;
  return {
    ...fieldsOf(route),
    ...settle !== undefined && {
      settle: (exchange, proceed) =>
        settle.call(route, exchange, (found) => proceed(changing(found, change))),
    },
    ...hide !== undefined && { hide: (exchange, hidden) => hide.call(route, exchange, hidden) },
    run: (exchange) => then(route.run(exchange), (result) => change(result, exchange)),
  };
}

/** Adds the Tasks extension to what a server says of itself. */
function withTasks(result: JsonObject): JsonObject {
  const { capabilities } = result;
  if (!isObject(capabilities) || capabilities.tools === undefined) return result;
  const extensions = isObject(capabilities.extensions) ? capabilities.extensions : {};
  return {
    ...result,
    capabilities: { ...capabilities, extensions: { [TASKS]: {}, ...extensions } },
  };
}

/** Adds the tools to the last page of a list, unless the server has tools with these names. */
function withTools(result: JsonObject): JsonObject {
  const { tools, nextCursor } = result;
  if (!Array.isArray(tools) || nextCursor !== undefined) return result;
  const names = new Set(tools.map((tool) => isObject(tool) ? tool.name : undefined));
  return { ...result, tools: [...tools, ...TOOLS.filter(({ name }) => !names.has(name))] };
}
