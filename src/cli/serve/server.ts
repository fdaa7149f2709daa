/**
 * Runs the server: the gateway, its endpoints and the listener.
 *
 * @module
 */
import type {
  Dispatcher,
  McpEvent,
  McpHandlerOptions,
  RateLimiter,
  RequestHead,
} from "../../../mod.ts";
import type { AuditTrail } from "../../audit/mod.ts";
import { isLoopback, pathOf } from "../../kit.ts";
import { endpointUrl, type GroupMember } from "../../kit_node.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { Telemetry } from "../../telemetry/mod.ts";
import type { Gateway } from "../../gateway/mod.ts";
import { authOf, authOfSignIn } from "./auth.ts";
import type { Backend, UsersAuth } from "./backend.ts";
import type { Config } from "../config/schema.ts";
import { CliError, messageOf } from "../errors.ts";
import { eventOptions } from "./events.ts";
import { type BoundListener, listen } from "./listen.ts";
import { ALL, eventLogger, type Log } from "../log.ts";
import { DashboardServer } from "./dashboard.ts";
import { policyOf, policyText } from "../config/policy.ts";
import { rateLimiter } from "./rate_limit.ts";
import { isFirst, SHARES_PORTS } from "./node_process.ts";
import type { Redact } from "../redact.ts";
import { changesBetween, type ConfigChanges } from "./reload.ts";
import { Routes, serverNameIn, SERVERS_PATH } from "./routes.ts";
import { type CommandSettings, enabledServers } from "../config/settings.ts";
import { baseOf } from "../config/sign_in.ts";
import { createOperator, type Operator } from "../../dashboard/mod.ts";
import {
  type CommandSignIn,
  endpointUrls,
  type EndSessions,
  GrantSessions,
  openSignIn,
} from "./sign_in.ts";
import type { Stores } from "./stores.ts";
import { VERSION } from "../version.ts";

/** Options for {@linkcode CommandServer}. */
export interface CommandServerInit {
  readonly settings: CommandSettings;
  readonly backend: Backend;
  readonly stores: Stores | undefined;
  readonly audit?: AuditTrail | undefined;
  readonly log: Log;
  /** The listening socket of a service manager, which keeps it when this process ends. */
  readonly socket?: number | undefined;
  /** Counts what happens, if metrics are served. */
  readonly metrics?: Metrics | undefined;
  /** Reports to OpenTelemetry, if that is on. */
  readonly telemetry?: Telemetry | undefined;
  /** Takes secrets out of what operators see. */
  readonly redact?: Redact;
  /** Which process this is, if several serve. */
  readonly member?: GroupMember | undefined;
}

/**
 * The time for which requests on open connections are answered as ever while the next process takes over,
 * in milliseconds: each such connection is closed after its response.
 */
const HAND_OVER_MS = 500;

/** The configuration that is applied. */
interface Applied {
  config: Config;
}

/** A running server. */
export class CommandServer {
  /** The URL of the endpoint for all servers together. */
  readonly url: string;
  /** The same URL without a path. */
  readonly base: string;
  readonly #init: CommandServerInit;
  readonly #gateway: Gateway;
  readonly #routes: Routes;
  readonly #listener: BoundListener;
  /** The dashboard, if there is one. */
  readonly dashboard: DashboardServer | undefined;
  readonly #parts: ServerParts;
  readonly #applied: Applied;
  /** The text of the policy that is applied. */
  #policyText: string;
  #closed: Promise<void> | undefined;

  private constructor(
    init: CommandServerInit,
    routes: Routes,
    listener: BoundListener,
    parts: ServerParts,
  ) {
    const { gateway, dashboard, applied } = parts;
    this.dashboard = dashboard;
    this.#parts = parts;
    const { config, host, path } = init.settings;
    this.#init = init;
    this.#applied = applied;
    this.#policyText = policyText(config);
    this.#gateway = gateway;
    this.#routes = routes;
    this.#listener = listener;
    this.base = config.publicUrl?.replace(/\/$/, "") ?? endpointUrl(host, listener.port, "");
    this.url = `${this.base}${path}`;
  }

  /**
   * Starts a server.
   *
   * @throws {CliError} If it can't listen on the address
   */
  static async start(init: CommandServerInit): Promise<CommandServer> {
    const { settings, log, member } = init;
    const { host, port, config, allowedHosts, node } = settings;
    const { stores, metrics } = init;
    const limiter = config.rateLimit && rateLimiter(config.rateLimit);
    const sessions = new GrantSessions(log);
    const { onGrantEnded } = sessions;
    const signIn = openSignIn({
      ...{ config, allowedHosts, stores, log, audit: init.audit, metrics, limiter, onGrantEnded },
    });
    const gateway = gatewayOf(config, init.backend, { ...init, users: signIn?.users });
    metrics?.watch({ gateway });
    const applied: Applied = { config: settings.config };
    let dashboard: DashboardServer | undefined;
    let routes: Routes | undefined;
    const operators = new Map<string, Operator>();
    const failed = (error: unknown): void => {
      log("error", "error", { during: "serving", message: messageOf(error) });
    };
    try {
      if (config.dashboard !== undefined) {
        const { redact = (text) => text } = init;
        const { audit } = init;
        dashboard = await DashboardServer.start({
          config: config.dashboard,
          operators: config.operators,
          listens: isFirst(member),
          ...{ node, redact, log, audit },
          grants: signIn && sessions.grants,
          accounts: signIn?.accounts,
        });
      }
      const parts = { gateway, dashboard, applied, signIn, limiter, operators };
      routes = routesOf(init, parts);
      if (signIn !== undefined) {
        sessions.begin(signIn.front.grants, enderOf(routes, parts, settings));
      }
      const { socket: fd } = init;
      const reusePort = member !== undefined && SHARES_PORTS;
      const listener = await listen({
        ...{ hostname: host, port, reusePort, fetch: routes.fetch, failed },
        ...fd !== undefined && { fd },
      });
      if (fd !== undefined) await checkAddress(listener, host);
      return new CommandServer(init, routes, listener, parts);
    } catch (error) {
      await dashboard?.close();
      await routes?.close(0);
      await gateway.close();
      throw error;
    }
  }

  /** Returns the names of the servers. */
  names(): readonly string[] {
    return this.#gateway.names();
  }

  /** The number of calls that are running. */
  get running(): number {
    return this.#routes.running;
  }

  /**
   * Applies the servers of a new configuration. Changes of anything else need a restart, and are logged.
   *
   * @returns The servers that are new or changed
   * @throws {TypeError} If a server can't be reached as configured; nothing has changed then
   * @throws {CliError} If the file of pins can't be read; nothing has changed then
   */
  async apply(config: Config): Promise<Pick<ConfigChanges, "set">> {
    const { backend, log } = this.#init;
    const before = this.#applied.config;
    const { set, removed, restart } = changesBetween(before, config);
    const users = this.#parts.signIn?.users;
    const upstreams = [...set].map(([name, entry]) =>
      [name, backend.upstream(entry, users)] as const
    );
    // Keys that need a restart keep their old values, so that the next change logs them again
    const after = withApplied(before, config);
    const text = policyText(after);
    // Before what it is about
    if (text !== this.#policyText) this.#setPolicy(after);
    this.#policyText = text;
    this.#applied.config = after;
    const offersOther = [...set].flatMap(([name, { toolSearch }]) =>
      before.mcpServers[name]?.toolSearch === toolSearch ? [] : [name]
    );
    const done = [
      // The next request makes it again
      ...offersOther.map((name) => this.#routes.drop(name)),
      ...removed.flatMap((name) => [
        this.#gateway.remove(name),
        // Coming back, it is another one.
        this.#routes.drop(name).then(() => this.#init.stores?.remove?.(name)),
      ]),
      ...upstreams.map(([name, upstream]) => this.#gateway.set(name, upstream)),
    ];
    if (restart.length > 0) {
      log("warn", "restart-needed", { message: "Restart to apply these keys", keys: restart });
    }
    await Promise.all(done);
    log("info", "reloaded", { set: [...set.keys()], removed });
    return { set };
  }

  #setPolicy(config: Config): void {
    const policy = policyOf(config);
    this.#gateway.setPolicy(policy);
    this.#routes.setPolicy(policy);
  }

  /** Lets running calls finish within the grace period, then ends everything. Safe to call twice. */
  close(): Promise<void> {
    return this.#closed ??= this.#drain();
  }

  async #drain(): Promise<void> {
    if (this.#init.socket !== undefined) {
      // New connections wait for the next process; what is under way on open ones is answered as ever.
      this.#listener.handOver?.();
      await new Promise((resolve) => setTimeout(resolve, HAND_OVER_MS));
    }
    await this.#routes.close(this.#init.settings.graceMs);
    await this.dashboard?.close();
    const { operators, signIn } = this.#parts;
    await Promise.all([...operators.values()].map((operator) => operator.close()));
    signIn?.accounts.close();
    await signIn?.front.close();
    await this.#listener.stop();
    await this.#gateway.close();
    await this.#init.stores?.close();
  }
}

/**
 * Checks that a socket is bound to the address that the settings were checked for.
 *
 * @throws {CliError} If other machines reach it, and the settings are those of this machine alone
 */
async function checkAddress(listener: BoundListener, host: string): Promise<void> {
  const { address } = listener;
  if (address !== undefined && (isLoopback(address) || !isLoopback(host))) return;
  await listener.stop();
  throw new CliError(`Give the address of the socket as --host: ${address ?? "it has no port"}`);
}

/** The keys of `limits` that the gateway has; the others are of the endpoints. */
export const GATEWAY_LIMITS = [
  "upstreamSessions",
  "upstreamSessionsPerPrincipal",
  "programs",
  "programsPerPrincipal",
] as const;

/** Returns a configuration with those keys of another one that are applied without a restart. */
export function withApplied(
  { policy: _policy, strict: _strict, pins: _pins, ...before }: Config,
  { mcpServers, policy, strict, pins }: Config,
): Config {
  return {
    ...before,
    mcpServers,
    ...policy !== undefined && { policy },
    ...strict !== undefined && { strict },
    ...pins !== undefined && { pins },
  };
}

/**
 * Creates the gateway of a configuration.
 *
 * @throws {CliError} If the file of pins can't be read
 */
export function gatewayOf(
  config: Config,
  backend: Backend,
  { metrics, telemetry, users }:
    & Pick<CommandServerInit, "metrics" | "telemetry">
    & { readonly users?: UsersAuth | undefined } = {},
): Gateway {
  const { separator, stateless, onRestart, requests, listWaitMs, limits } = config;
  const upstreams = Object.fromEntries(
    [...enabledServers(config)].map(([name, entry]) => [name, backend.upstream(entry, users)]),
  );
  const policy = policyOf(config);
  return backend.gateway({
    upstreams,
    ...policy !== undefined && { policy },
    info: { name: "mooring", version: VERSION },
    ...separator !== undefined && { separator },
    ...stateless !== undefined && { stateless },
    ...onRestart !== undefined && { onRestart },
    ...listWaitMs !== undefined && { listWaitMs },
    ...limits !== undefined && { limits: pick(limits, GATEWAY_LIMITS) },
    ...requests?.askTimeoutMs !== undefined && { askTimeoutMs: requests.askTimeoutMs },
    middleware: [metrics?.upstream, telemetry?.upstream].filter((each) => each !== undefined),
  });
}

/** Returns all servers as one, or one of them, as its endpoint offers it. */
export function viewOf(gateway: Gateway, config: Config, only: string | undefined): Dispatcher {
  if (only === undefined) return gateway.view({ toolSearch: config.toolSearch === true });
  return gateway.view({ only, toolSearch: config.mcpServers[only]?.toolSearch === true });
}

/** Returns the option for calls that run long, on each host. */
export function longCallsOf({ longCalls }: Config): Pick<McpHandlerOptions, "longCalls"> {
  if (longCalls === undefined) return {};
  return { longCalls: longCalls === true ? {} : longCalls };
}

/** What the routes lead to. */
interface ServerParts {
  readonly gateway: Gateway;
  readonly dashboard: DashboardServer | undefined;
  readonly applied: Applied;
  readonly signIn: CommandSignIn | undefined;
  readonly limiter: RateLimiter | undefined;
  /** Who ends the sessions of each endpoint, where users sign in and there is no dashboard. */
  readonly operators: Map<string, Operator>;
}

/** Returns the name that an endpoint has for operators. */
function servedName(name: string | undefined, path: string): string {
  return name === undefined ? path : `${SERVERS_PATH}${name}`;
}

/** Returns what ends the sessions of a user with a client, also of an endpoint that this node hasn't used yet. */
function enderOf(
  routes: Routes,
  { dashboard, operators }: ServerParts,
  { path }: CommandSettings,
): EndSessions {
  return async (user, name) => {
    if (name !== undefined && !routes.open(name)) return;
    const served = servedName(name, path);
    if (dashboard !== undefined) await dashboard.endSessionsOf(user, served);
    else await operators.get(served)?.endSessionsOf(user);
  };
}

function routesOf(
  { settings, stores, audit, metrics, telemetry, log }: CommandServerInit,
  { gateway, dashboard, applied, signIn, limiter, operators }: ServerParts,
): Routes {
  const { config, allowedHosts, path, alone, node } = settings;
  const { secret, limits } = config;
  const shared: McpHandlerOptions = {
    ...pick(config, ["allowedOrigins", "sessions"]),
    ...limits !== undefined && { limits: omit(limits, GATEWAY_LIMITS) },
    ...allowedHosts !== undefined && { allowedHosts },
    ...limiter !== undefined && { rateLimit: limiter },
    ...longCallsOf(config),
    events: eventOptions(config, node),
    ...telemetry !== undefined && { middleware: [telemetry.middleware] },
    requests: { ...config.requests, ...secret !== undefined && { stateKeys: [secret].flat() } },
  };
  const failed = (error: unknown): void => {
    log("error", "error", { during: "fetching keys", message: messageOf(error) });
  };
  // Only configurations with a public URL use it
  const base = config.signIn !== undefined
    ? baseOf(config)
    : config.publicUrl?.replace(/\/$/, "") ?? "http://localhost";
  const urlOf = endpointUrls(base, path);
  const urlOfRequest = ({ url }: RequestHead) => urlOf(serverNameIn(pathOf(url)));
  const { authenticate, resource } = signIn === undefined
    ? authOf(config.auth, urlOfRequest, failed, stores?.store(undefined))
    : authOfSignIn(signIn.front, urlOfRequest);
  const counted = (logged: (event: McpEvent) => void) =>
    both(both(logged, metrics?.onEvent), telemetry?.onEvent);
  return new Routes({
    servers: {
      all: viewOf(gateway, config, alone),
      names: () => gateway.names(),
      only: (name) => viewOf(gateway, applied.config, name),
    },
    path,
    others: signIn && { paths: signIn.paths, answer: signIn.answer },
    options: (name) => ({
      ...shared,
      ...authenticate !== undefined && { authenticate },
      resource: resource(urlOf(name)),
      ...stores !== undefined && { store: stores.store(name) },
      // Where there is one server only, both of its paths have the same upstream
      onEvent: both(
        counted(
          eventLogger(log, name ?? ALL, { upstreams: name === undefined || name !== alone }),
        ),
        audit?.onEvent,
      ),
    }),
    resource: (name) => resource(urlOf(name)),
    report: counted(eventLogger(log, ALL)),
    policy: policyOf(config),
    watch: (handler, name) => {
      const unwatch = metrics?.watch({ handler, endpoint: name ?? ALL });
      const served = servedName(name, path);
      dashboard?.add(served, handler);
      if (signIn !== undefined && dashboard === undefined) {
        operators.set(served, createOperator(handler, { endpoint: served }));
      }
      return () => {
        unwatch?.();
        void dashboard?.remove(served);
        void operators.get(served)?.close();
        operators.delete(served);
      };
    },
  });
}

/** Returns a function that passes events to one function, and to another one if there is one. */
function both(
  first: (event: McpEvent) => void,
  second: ((event: McpEvent) => void) | undefined,
): (event: McpEvent) => void {
  if (second === undefined) return first;
  return (event) => {
    // The trail is first: what the log does with the event must not keep it out.
    second(event);
    first(event);
  };
}

/** Returns some keys of an object, without those that it doesn't have. */
export function pick<T extends object, K extends keyof T>(from: T, keys: readonly K[]): Pick<T, K> {
  return Object.fromEntries(
    keys.filter((key) => from[key] !== undefined).map((key) => [key, from[key]]),
    // They are the keys of K
  ) as Pick<T, K>;
}

/** Returns an object without some of its keys. */
function omit<T extends object, K extends keyof T>(from: T, keys: readonly K[]): Omit<T, K> {
  const left = Object.entries(from).filter(([key]) => !keys.some((name) => name === key));
  // Only the keys of K are gone
  return Object.fromEntries(left) as Omit<T, K>;
}
