/**
 * Serves the operator's page, and its interface for scripts.
 *
 * @module
 */
import type { Context, Hono } from "hono";
import type { Clock, MaybePromise, McpHandler, OperatorActKind, Principal } from "../../../mod.ts";
import {
  checkNames,
  functionOption,
  integerOption,
  isObject,
  peerAddress,
  randomText,
  shortHash,
  systemClock,
} from "../../kit.ts";
import { AccountDirectory } from "../operator/accounts.ts";
import { GrantDirectory } from "../operator/grants.ts";
import { BOUNDS_MS } from "../operator/histogram.ts";
import { actKindOf, createOperator, type Operator, targetOf } from "../operator/operator.ts";
import { failed } from "../operator/peers.ts";
import type {
  AccountSource,
  ActRow,
  GrantSource,
  OperatorRequest,
  OperatorResult,
  OperatorSnapshot,
  RecentQuery,
  RecentRows,
} from "../operator/types.ts";
import { parseQuery, parseRequest } from "./act_request.ts";
import { ASSETS } from "./assets.ts";
import { readText } from "./body.ts";
import { Feed } from "./feed.ts";
import { hostAllowed, hostRules, isForeign, SECURITY_HEADERS } from "./guard.ts";
import { hono } from "./hono.ts";
import type { OneTimeLinks } from "./one_time_links.ts";
import type { OperatorTokens } from "./operator_tokens.ts";
import { pageHtml, signInHtml } from "./shell.ts";
import { bearerOf, cookieName, type OperatorPrincipal, type OperatorSignIn } from "./sign_ins.ts";

/** The acts that the page's audit shows. */
const MOST_ACTS = 200;
/** The last calls, and refusals, that one answer has. */
const MOST_RECENT = 100;
/** The bytes that a request to act may have. */
const MOST_BYTES = 8_192;

/** Returns who sent a request; `undefined` for everybody who is no operator. */
export type AuthenticateOperator = (
  request: Request,
  context: unknown,
) => MaybePromise<OperatorPrincipal | undefined>;

/** Options for {@linkcode createDashboard}. */
export interface DashboardOptions {
  /**
   * Decides who is an operator: a function of your own, {@linkcode operatorTokens}, or
   * {@linkcode oneTimeLinks}. An operator sees the names of all users and what they call, and can end their
   * sessions: keep them apart from the users of the endpoint. An error that it throws is a 401.
   */
  readonly authenticate: AuthenticateOperator | OneTimeLinks | OperatorTokens;
  /**
   * The path under which the dashboard is served.
   *
   * @default {"/"}
   */
  readonly path?: string;
  /** The host names of the dashboard; those of the same machine (`localhost`, 127.0.0.1) when left out. */
  readonly allowedHosts?: readonly string[];
  /**
   * The name of this node; give each node of a cluster another one.
   *
   * @default The first handler's `events.nodeName`, so that events have the same, or its random id
   */
  readonly node?: string;
  /**
   * Whether the last calls are kept, and shown, with their arguments. They may be private.
   *
   * @default {false}
   */
  readonly recordArguments?: boolean;
  /**
   * Whether the last calls are kept, and shown, with their results. They may be private.
   *
   * @default {false}
   */
  readonly recordResults?: boolean;
  /** Takes secrets out of what upstreams write to their standard error, and of their errors. */
  readonly redact?: (text: string) => string;
  /**
   * Called with everything that an operator does, for an audit. The handler's `onEvent` gets the same as
   * `operator-act`.
   */
  readonly onAct?: (act: ActRow) => void;
  /**
   * Called when somebody gives a link or a token that isn't valid, with the address at the other end of the
   * connection, if the host tells it.
   */
  readonly onRefused?: (refused: { readonly address: string | undefined }) => void;
  /** The grants of sign-in, to list and end them: `grants` of what `signIn()` returned. */
  readonly grants?: GrantSource;
  /** The accounts of users at upstreams, to list and disconnect them: what `accounts()` returned. */
  readonly accounts?: AccountSource;
  /** Called with errors that no operator sees. */
  readonly onError?: (error: unknown) => void;
  /**
   * The time between two updates of the page, in milliseconds.
   *
   * @default {1000}
   */
  readonly updateMs?: number;
  /**
   * The maximum number of pages and `mooring top` that watch at a time.
   *
   * @default {20}
   */
  readonly watchers?: number;
  /** The source of time; the system clock when left out. */
  readonly clock?: Clock;
}

/** A dashboard: a function from `Request` to `Response`. */
export interface Dashboard extends AsyncDisposable {
  /** Answers a request. `context` is passed to `authenticate`. */
  (request: Request, context?: unknown): Promise<Response>;
  /** The same function, for hosts that need an object with `fetch`. */
  readonly fetch: (request: Request, context?: unknown) => Promise<Response>;
  /**
   * Adds an endpoint, or replaces the one with the same name.
   *
   * @throws {TypeError} If the value is not a handler, or another dashboard has it
   */
  add(endpoint: string, handler: McpHandler): void;
  /** Removes an endpoint. Does nothing if there is none. */
  remove(endpoint: string): Promise<void>;
  /** Returns the state of every node of every endpoint. */
  snapshot(): Promise<OperatorSnapshot>;
  /** Acts for an operator: audited like an act of the page. Never rejects. */
  act(request: OperatorRequest, operator: string): Promise<OperatorResult>;
  /** Finds the last calls and refusals of every node of every endpoint, or of one. */
  recent(query: RecentQuery): Promise<RecentRows>;
  /**
   * Ends the sessions of a user, those with one client if it is given, and cancels the user's calls and
   * subscriptions, at every node of one endpoint or of all: because a grant has ended, and not for an operator.
   *
   * @returns How much was ended
   */
  endSessionsOf(
    user: Pick<Principal, "id" | "issuer" | "clientId">,
    endpoint?: string,
  ): Promise<number>;
  /** Ends every page, and stops watching the endpoints. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * Creates the operator's page: it shows what runs at every node of an endpoint, and cancels calls, ends
 * sessions, drains nodes and restarts upstreams. Serve it apart from the endpoint, where only operators reach
 * it. In a cluster, create one at every node, whether its page is served or not: nodes show each other.
 *
 * Nothing is collected before this is called. The page needs no other host: its script and its style are
 * served by the dashboard itself.
 *
 * @param handlers A handler of `createMcpHandler`, or several by the names of their endpoints
 * @throws {TypeError} If there is no `authenticate`, or an option has the wrong type
 * @throws {RangeError} If a number is out of range
 *
 * @example
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { createDashboard } from "@mooring/mcp/dashboard";
 *
 * await using handler = createMcpHandler(new McpServer({ name: "demo", version: "1.0.0" }));
 * await using dashboard = createDashboard(handler, {
 *   // Such as the user that a proxy has signed in
 *   authenticate: ({ headers }) => {
 *     const user = headers.get("x-forwarded-user");
 *     return user === "ada" ? { id: user } : undefined;
 *   },
 *   allowedHosts: ["ops.example"],
 * });
 * const headers = { "x-forwarded-user": "ada" };
 * const page = await dashboard(new Request("https://ops.example/", { headers }));
 * console.assert(page.status === 200);
 * ```
 */
export function createDashboard(
  handlers: McpHandler | Readonly<Record<string, McpHandler>>,
  options: DashboardOptions,
): Dashboard {
  checkNames("createDashboard()", options, {
    authenticate: true,
    path: true,
    allowedHosts: true,
    node: true,
    redact: true,
    recordArguments: true,
    recordResults: true,
    onAct: true,
    onRefused: true,
    grants: true,
    accounts: true,
    onError: true,
    updateMs: true,
    watchers: true,
    clock: true,
  });
  const served = new ServedDashboard(options);
  const named = typeof handlers === "function" ? { "": handlers } : handlers;
  for (const [endpoint, handler] of Object.entries(named)) served.add(endpoint, handler);
  const fetch = (request: Request, context?: unknown) => served.fetch(request, context);
  return Object.assign(fetch, {
    fetch,
    add: (endpoint: string, handler: McpHandler) => served.add(endpoint, handler),
    remove: (endpoint: string) => served.remove(endpoint),
    snapshot: () => served.snapshot(),
    act: (request: OperatorRequest, operator: string) => served.act(request, operator),
    recent: (query: RecentQuery) => served.recent(query),
    endSessionsOf: (user: Pick<Principal, "id" | "issuer" | "clientId">, endpoint?: string) =>
      served.endSessionsOf(user, endpoint),
    close: () => served.close(),
    [Symbol.asyncDispose]: () => served.close(),
  });
}

/** The rows of what a directory has listed. */
interface DirectoryRows<T> {
  readonly rows: readonly T[];
  readonly hasMore: boolean;
}

class ServedDashboard {
  readonly #options: DashboardOptions;
  readonly #authenticate: AuthenticateOperator;
  readonly #signInWay: OperatorSignIn | undefined;
  readonly #links: OneTimeLinks | undefined;
  readonly #clock: Clock;
  readonly #path: string;
  #node: string | undefined;
  readonly #operators = new Map<string, Operator>();
  readonly #grants: GrantDirectory | undefined;
  readonly #accounts: AccountDirectory | undefined;
  readonly #feed: Feed;
  readonly #app: Hono;
  readonly #hosts: ReturnType<typeof hostRules>;
  /** Makes the token that an act needs, for each operator. */
  readonly #secret = randomText(43);
  #acts: readonly ActRow[] = [];
  #actCount = 0;
  #closed: Promise<void> | undefined;

  constructor(options: DashboardOptions) {
    const { authenticate, clock = systemClock, node, path = "/" } = options ?? {};
    const way = typeof authenticate === "object" ? authenticate : undefined;
    const given = way === undefined
      ? functionOption("authenticate", authenticate as AuthenticateOperator | undefined)
      : (request: Request, context: unknown) => way.authenticate(request, context);
    if (given === undefined) {
      throw new TypeError(
        'Give a function, operatorTokens() or oneTimeLinks() as "authenticate"',
      );
    }
    if (typeof path !== "string" || !path.startsWith("/")) {
      throw new TypeError(`Give a path that begins with "/" as "path": ${String(path)}`);
    }
    this.#options = options;
    this.#signInWay = way;
    this.#links = way !== undefined && "issue" in way ? way : undefined;
    this.#authenticate = given;
    this.#clock = clock;
    this.#node = node;
    this.#path = path.endsWith("/") ? path : `${path}/`;
    this.#hosts = hostRules(options.allowedHosts);
    this.#grants = options.grants && new GrantDirectory(options.grants, clock);
    this.#accounts = options.accounts && new AccountDirectory(options.accounts, clock);
    this.#feed = new Feed({
      clock,
      tickMs: integerOption("updateMs", options.updateMs, 1_000, 10),
      mostWatchers: integerOption("watchers", options.watchers, 20),
      snapshot: () => this.snapshot(),
      failed: (error) => this.#failed(error),
    });
    this.#app = this.#routes();
  }

  add(endpoint: string, handler: McpHandler): void {
    if (this.#closed !== undefined) {
      throw new TypeError("Create a new dashboard: this one is closed");
    }
    void this.remove(endpoint);
    const { redact, recordArguments, recordResults } = this.#options;
    const operator = createOperator(handler, {
      endpoint,
      ...this.#node !== undefined && { node: this.#node },
      ...redact !== undefined && { redact },
      ...recordArguments !== undefined && { recordArguments },
      ...recordResults !== undefined && { recordResults },
    });
    this.#node = operator.node;
    this.#operators.set(endpoint, operator);
    this.#feed.refresh();
  }

  async remove(endpoint: string): Promise<void> {
    const operator = this.#operators.get(endpoint);
    this.#operators.delete(endpoint);
    await operator?.close();
  }

  async snapshot(): Promise<OperatorSnapshot> {
    const [grants, accounts, ...all] = await Promise.all([
      this.#rowsOf(this.#grants),
      this.#rowsOf(this.#accounts),
      ...[...this.#operators.values()].map((each) => each.snapshot()),
    ]);
    return {
      at: this.#clock.now(),
      nodes: all.flatMap(({ nodes }) => nodes),
      sessions: all.flatMap(({ sessions }) => sessions),
      calls: all.flatMap(({ calls }) => calls),
      streams: all.flatMap(({ streams }) => streams),
      refusals: all.flatMap(({ refusals }) => refusals),
      tools: all.flatMap(({ tools }) => tools),
      upstreams: all.flatMap(({ upstreams }) => upstreams),
      limits: all.flatMap(({ limits }) => limits),
      history: all.flatMap(({ history }) => history),
      grants: grants.rows,
      accounts: accounts.rows,
      acts: this.#acts,
      omitted: [grants, accounts, ...all].reduce((sum, { omitted }) => sum + omitted, 0),
    };
  }

  async #rowsOf<T>(
    directory: { rows(): Promise<DirectoryRows<T>> } | undefined,
  ): Promise<{ readonly rows: readonly T[]; readonly omitted: number }> {
    try {
      const { rows, hasMore } = await directory?.rows() ?? { rows: [], hasMore: false };
      return { rows, omitted: hasMore ? 1 : 0 };
    } catch (error) {
      // The rest is worth seeing all the more while the store fails.
      this.#failed(error);
      return { rows: [], omitted: 0 };
    }
  }

  async act(request: OperatorRequest, operator: string): Promise<OperatorResult> {
    const concerned = [...this.#operators.values()].filter(({ endpoint }) =>
      request.endpoint === undefined || request.endpoint === endpoint
    );
    let result = failed("There is no such endpoint");
    if (request.act === "end-grant" || request.act === "end-grants") {
      result = await this.#endGrants(request);
    } else if (request.act === "disconnect-account") {
      result = await this.#disconnect(request.account);
    } else if (concerned.length === 1 && concerned[0] !== undefined) {
      result = await concerned[0].act(request, operator);
    } else if (concerned.length > 1) {
      const results = await Promise.all(concerned.map((each) => each.act(request, operator)));
      const count = results.reduce((sum, each) => sum + each.count, 0);
      // What one endpoint knows is unknown to the others.
      const best = results.find(({ ok }) => ok) ?? results[0] ?? result;
      const message = best.ok && request.act === "drain-node"
        ? `${request.node} ${request.on ? "refuses" : "accepts"} new sessions at ${count} endpoints`
        : best.message;
      result = { ...best, count, message };
    }
    this.#note(actKindOf(request), targetOf(request), operator, result);
    this.#feed.refresh();
    return result;
  }

  async endSessionsOf(
    user: Pick<Principal, "id" | "issuer" | "clientId">,
    endpoint?: string,
  ): Promise<number> {
    const concerned = [...this.#operators.values()].filter((each) =>
      endpoint === undefined || endpoint === each.endpoint
    );
    const counts = await Promise.all(concerned.map((each) => each.endSessionsOf(user)));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async #endGrants(
    request: Extract<OperatorRequest, { act: "end-grant" | "end-grants" }>,
  ): Promise<OperatorResult> {
    const grants = this.#grants;
    if (grants === undefined) return failed('Give the dashboard the option "grants"');
    try {
      if (request.act === "end-grants") {
        const ended = await grants.endUser(request.principal, request.issuer ?? "");
        if (ended === undefined) return failed("The user has no grants");
        await this.endSessionsOf(ended.user);
        const { count, user } = ended;
        return { ok: true, count, message: `Ended ${count} grants of ${user.name}` };
      }
      const grant = await grants.end(request.grant);
      if (grant === undefined) return failed("The grant has ended already");
      const { user, client } = grant;
      await this.endSessionsOf({ id: user.id, issuer: user.issuer, clientId: client.id });
      return { ok: true, count: 1, message: `Ended the grant of ${user.name} to ${client.name}` };
    } catch (error) {
      this.#failed(error);
      return failed("The act failed: see the log of this node");
    }
  }

  async #disconnect(id: string): Promise<OperatorResult> {
    if (this.#accounts === undefined) return failed('Give the dashboard the option "accounts"');
    try {
      const what = await this.#accounts.disconnect(id);
      if (what === undefined) return failed("The account is not connected any more");
      return { ok: true, count: 1, message: `Disconnected ${what}` };
    } catch (error) {
      this.#failed(error);
      return failed("The act failed: see the log of this node");
    }
  }

  async recent(query: RecentQuery): Promise<RecentRows> {
    const concerned = [...this.#operators.values()].filter(({ endpoint }) =>
      query.endpoint === undefined || query.endpoint === endpoint
    );
    const all = await Promise.all(concerned.map((each) => each.recent(query)));
    const latest = <T extends { readonly at: number }>(rows: readonly T[]) =>
      rows.toSorted((a, b) => b.at - a.at);
    return {
      calls: latest(all.flatMap(({ calls }) => calls)).slice(0, MOST_RECENT),
      refusals: latest(all.flatMap(({ refusals }) => refusals)).slice(0, MOST_RECENT),
      minutes: latest(all.flatMap(({ minutes }) => minutes)),
      missing: [...new Set(all.flatMap(({ missing }) => missing))],
    };
  }

  close(): Promise<void> {
    return this.#closed ??= (async () => {
      this.#feed.close();
      await Promise.all([...this.#operators.keys()].map((endpoint) => this.remove(endpoint)));
    })();
  }

  async fetch(request: Request, context?: unknown): Promise<Response> {
    const response = await this.#answer(request, context);
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) {
      response.headers.set(name, value);
    }
    if (!response.headers.has("cache-control")) response.headers.set("cache-control", "no-store");
    return response;
  }

  async #answer(request: Request, context: unknown): Promise<Response> {
    if (!hostAllowed(request, this.#hosts)) {
      return text(403, "Add the host to the option allowedHosts to serve the dashboard under it");
    }
    return await this.#app.fetch(request, { context });
  }

  #routes(): Hono {
    const app = new hono.Hono();
    const at = this.#path;
    app.get(at, (c) => this.#page(c));
    if (at !== "/") app.get(at.slice(0, -1), (c) => c.redirect(at, 308));
    app.get(`${at}assets/:name`, (c) => asset(c.req.param("name")));
    app.post(`${at}session`, (c) => this.#signIn(c));
    app.get(`${at}session`, (c) => this.#known(c, (by) => this.#hello(by)));
    app.get(`${at}snapshot`, (c) => this.#known(c, () => this.snapshot()));
    app.get(`${at}recent`, (c) => this.#known(c, () => this.#recent(c.req.raw)));
    app.get(`${at}events`, (c) => this.#known(c, (by) => this.#events(c, by)));
    app.post(`${at}act`, (c) => this.#known(c, (by) => this.#acted(c.req.raw, by)));
    app.notFound(() => text(404, "There is nothing here"));
    app.onError((error) => {
      this.#failed(error);
      return text(500, "Internal error");
    });
    return app;
  }

  async #page(c: Context): Promise<Response> {
    const known = await this.#whoIs(c.req.raw, c.env);
    if (known === undefined) return await c.html(signInHtml(this.#wayName), 401);
    return await c.html(pageHtml({
      grants: this.#grants !== undefined,
      accounts: this.#accounts !== undefined,
    }));
  }

  /** What an operator signs in with. */
  get #wayName(): "link" | "token" | undefined {
    if (this.#links !== undefined) return "link";
    return this.#signInWay === undefined ? undefined : "token";
  }

  /** Answers an operator, unless a page of another origin sent the request. */
  async #known(
    c: Context,
    answer: (by: OperatorPrincipal) => MaybePromise<object>,
  ): Promise<Response> {
    const request = c.req.raw;
    if (isForeign(request)) return text(403, "Pages of other origins can't use the dashboard");
    const by = await this.#whoIs(request, c.env);
    if (by === undefined) {
      if (bearerOf(request) !== undefined) this.#refused(c);
      return text(401, "Sign in as an operator");
    }
    const answered = await answer(by);
    return answered instanceof Response ? answered : Response.json(answered);
  }

  /** Reports that somebody tried to sign in. */
  #refused(c: Context): void {
    const { context } = c.env as { readonly context?: unknown };
    this.#options.onRefused?.({ address: peerAddress(context, () => c.req.raw) });
  }

  async #whoIs(request: Request, env: unknown): Promise<OperatorPrincipal | undefined> {
    try {
      const { context } = env as { readonly context?: unknown };
      const known = await this.#authenticate(request, context);
      return typeof known?.id === "string" ? known : undefined;
    } catch (error) {
      this.#failed(error);
      return undefined;
    }
  }

  async #hello(by: OperatorPrincipal): Promise<object> {
    return {
      operator: by.id,
      token: await this.#actToken(by),
      bounds: BOUNDS_MS,
      links: this.#links !== undefined,
      node: this.#node ?? "",
    };
  }

  async #recent(request: Request): Promise<object> {
    const query = parseQuery(new URL(request.url).searchParams);
    return typeof query === "string" ? text(400, query) : await this.recent(query);
  }

  async #events(c: Context, by: OperatorPrincipal): Promise<Response> {
    const request = c.req.raw;
    const still = async () => (await this.#whoIs(request, c.env))?.id === by.id;
    const body = this.#feed.watch(await this.#hello(by), still);
    if (body === undefined) return text(503, "Close another page first: too many watch");
    return new Response(body, {
      headers: { "content-type": "text/event-stream", "x-accel-buffering": "no" },
    });
  }

  async #acted(request: Request, by: OperatorPrincipal): Promise<Response> {
    const given = request.headers.get("x-mooring-operator");
    if (given === null || given !== await this.#actToken(by)) {
      return text(403, "Reload the page: the request has no valid token of it");
    }
    const body = await readJson(request, this.#clock);
    if (isObject(body) && body.act === "new-link") return this.#newLink(by);
    const parsed = parseRequest(body);
    if (typeof parsed === "string") return text(400, parsed);
    return Response.json(await this.act(parsed, by.id));
  }

  /** Uses a link or a token: the response sets the cookie. */
  async #signIn(c: Context): Promise<Response> {
    const request = c.req.raw;
    if (isForeign(request)) return text(403, "Pages of other origins can't sign in");
    const body = await readJson(request, this.#clock);
    const way = this.#wayName ?? "link";
    const given = isObject(body) ? body[way] : undefined;
    const used = typeof given === "string" ? this.#signInWay?.exchange(given) : undefined;
    if (used === undefined) {
      this.#refused(c);
      return way === "token"
        ? text(401, "This is no operator's token")
        : text(401, "The link was used already, or is too old");
    }
    const https = request.headers.get("origin")?.startsWith("https:") ??
      request.url.startsWith("https:");
    const cookie = [
      `${cookieName(request)}=${used.secret}`,
      `Path=${this.#path}`,
      `Max-Age=${Math.floor(used.ms / 1_000)}`,
      "HttpOnly",
      "SameSite=Strict",
      ...https ? ["Secure"] : [],
    ].join("; ");
    return new Response(null, { status: 204, headers: { "set-cookie": cookie } });
  }

  #newLink(by: OperatorPrincipal): Response {
    if (this.#links === undefined) return text(400, "Operators don't sign in with links here");
    const result = { ok: true, count: 1, message: "The link works once" };
    this.#note("new-link", "", by.id, result);
    return Response.json({ ...result, link: this.#links.issue() });
  }

  /** Returns the token that the page sends with an act, which no other page can read. */
  async #actToken({ id }: OperatorPrincipal): Promise<string> {
    const bytes = new TextEncoder().encode(`${this.#secret} ${id}`);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  #note(act: OperatorActKind, target: string, operator: string, result: OperatorResult): void {
    const { ok, count, message } = result;
    const row: ActRow = {
      key: `${shortHash(this.#secret)}-${++this.#actCount}`,
      at: this.#clock.now(),
      operator,
      act,
      target,
      outcome: ok ? "done" : "failed",
      count,
      message,
    };
    this.#acts = [...this.#acts, row].slice(-MOST_ACTS);
    try {
      this.#options.onAct?.(row);
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    try {
      this.#options.onError?.(error);
    } catch {
      // The application's own function failed: it can't be reported anywhere else.
    }
  }
}

function asset(name: string): Response {
  if (!Object.hasOwn(ASSETS, name)) return text(404, "There is nothing here");
  const { type, text: content } = ASSETS[name as keyof typeof ASSETS];
  return new Response(content, { headers: { "content-type": type, "cache-control": "no-cache" } });
}

/** Reads a JSON body; `undefined` if it is none, too long, or too slow. */
async function readJson(request: Request, clock: Clock): Promise<unknown> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/json\s*(;|$)/i.test(type)) return undefined;
  const content = await readText(request, MOST_BYTES, clock);
  if (content === undefined) return undefined;
  try {
    return JSON.parse(content);
  } catch {
    return undefined;
  }
}

function text(status: number, message: string): Response {
  return new Response(`${message}\n`, {
    status,
    headers: { "content-type": "text/plain; charset=utf-8" },
  });
}
