/**
 * A server that runs: the gateway, its endpoints and what listens for them.
 *
 * @module
 */
import { endpointUrl } from "../adapters/serve_options.ts";
import type { Store } from "../cluster/types.ts";
import type { Gateway } from "../gateway/gateway.ts";
import type { GatewayOptions } from "../gateway/options.ts";
import type { Upstream } from "../gateway/types.ts";
import type { McpHandlerOptions } from "../handler/types.ts";
import { accessOf } from "./access.ts";
import type { Config, ServerEntry } from "./config_schema.ts";
import { messageOf } from "./errors.ts";
import { type BoundListener, listen } from "./listen.ts";
import type { Log } from "./log.ts";
import { ALL, logEvents } from "./log_events.ts";
import { rateLimiter } from "./rate_limit.ts";
import { changesBetween } from "./reload.ts";
import { Routes, SERVERS_PATH } from "./routes.ts";
import { enabledServers, type Settings } from "./settings.ts";
import { VERSION } from "./version.ts";

/** What makes servers reachable. */
export interface Backend {
  gateway(options: GatewayOptions): Gateway;
  upstream(entry: ServerEntry): Upstream;
}

/** Where what nodes share is kept. */
export interface Stores {
  /** The store of an endpoint: that of one server, or of all when there is no name. */
  store(name: string | undefined): Store;
  close(): Promise<void>;
}

/** What a {@linkcode Server} is made of. */
export interface ServerInit {
  readonly settings: Settings;
  readonly backend: Backend;
  readonly stores: Stores | undefined;
  readonly log: Log;
}

/** A server that runs. */
export class Server {
  /** Where clients reach all servers together. */
  readonly url: string;
  /** The same, without a path. */
  readonly base: string;
  readonly #init: ServerInit;
  readonly #gateway: Gateway;
  readonly #routes: Routes;
  readonly #listener: BoundListener;
  /** What is in force. */
  #config: Config;
  #closed: Promise<void> | undefined;

  private constructor(init: ServerInit, gateway: Gateway, routes: Routes, listener: BoundListener) {
    const { config, host, path } = init.settings;
    this.#init = init;
    this.#config = config;
    this.#gateway = gateway;
    this.#routes = routes;
    this.#listener = listener;
    this.base = config.publicUrl?.replace(/\/$/, "") ?? endpointUrl(host, listener.port, "");
    this.url = `${this.base}${path}`;
  }

  /**
   * Starts a server.
   *
   * @throws {CliError} If it can't listen
   */
  static async start(init: ServerInit): Promise<Server> {
    const { settings, log } = init;
    const gateway = gatewayOf(init);
    const routes = routesOf(init, gateway);
    const failed = (error: unknown): void => {
      log("error", "error", { during: "serving", message: messageOf(error) });
    };
    try {
      const { host, port } = settings;
      const listener = await listen({ hostname: host, port, fetch: routes.fetch, failed });
      return new Server(init, gateway, routes, listener);
    } catch (error) {
      await routes.close(0);
      await gateway.close();
      throw error;
    }
  }

  /** The names of the servers. */
  names(): readonly string[] {
    return this.#gateway.names();
  }

  /**
   * Takes a new configuration over, as far as that goes while running.
   *
   * @throws {TypeError} If one of its servers can't be one: then nothing has changed
   */
  async apply(config: Config): Promise<void> {
    const { backend, log } = this.#init;
    const { set, removed, restart } = changesBetween(this.#config, config);
    const upstreams = [...set].map(([name, entry]) => [name, backend.upstream(entry)] as const);
    // What needs a restart stays what it was, so that the next change says so again.
    this.#config = { ...this.#config, mcpServers: config.mcpServers };
    const done = [
      ...removed.flatMap((name) => [this.#gateway.remove(name), this.#routes.drop(name)]),
      ...upstreams.map(([name, upstream]) => this.#gateway.set(name, upstream)),
    ];
    if (restart.length > 0) {
      log("warn", "restart-needed", { message: "Restart to change these", keys: restart });
    }
    await Promise.all(done);
    log("info", "reloaded", { set: [...set.keys()], removed });
  }

  /** Drains: what runs may finish for a while, then everything ends. Safe to call twice. */
  close(): Promise<void> {
    return this.#closed ??= this.#drain();
  }

  async #drain(): Promise<void> {
    await this.#routes.close(this.#init.settings.graceMs);
    await this.#listener.stop();
    await this.#gateway.close();
    await this.#init.stores?.close();
  }
}

function gatewayOf({ settings: { config }, backend }: ServerInit): Gateway {
  const { separator, stateless, requests } = config;
  const upstreams = Object.fromEntries(
    [...enabledServers(config)].map(([name, entry]) => [name, backend.upstream(entry)]),
  );
  return backend.gateway({
    upstreams,
    info: { name: "mooring", version: VERSION },
    ...separator !== undefined && { separator },
    ...stateless !== undefined && { stateless },
    ...requests?.askTimeoutMs !== undefined && { askTimeoutMs: requests.askTimeoutMs },
  });
}

function routesOf({ settings, stores, log }: ServerInit, gateway: Gateway): Routes {
  const { config, allowedHosts, path, alone } = settings;
  const { rateLimit, secret } = config;
  const shared: McpHandlerOptions = {
    ...pick(config, ["allowedOrigins", "limits", "sessions"]),
    ...allowedHosts !== undefined && { allowedHosts },
    ...rateLimit !== undefined && { rateLimit: rateLimiter(rateLimit) },
    requests: { ...config.requests, ...secret !== undefined && { stateKeys: [secret] } },
  };
  const failed = (error: unknown): void => {
    log("error", "error", { during: "fetching keys", message: messageOf(error) });
  };
  // Without its public URL nothing in a configuration needs to know it.
  const base = config.publicUrl?.replace(/\/$/, "") ?? "http://localhost";
  return new Routes({
    servers: {
      all: alone === undefined ? gateway : gateway.only(alone),
      names: () => gateway.names(),
      only: (name) => gateway.only(name),
    },
    path,
    options: (name) => ({
      ...shared,
      ...accessOf(
        config.auth,
        `${base}${name === undefined ? path : SERVERS_PATH + name}`,
        failed,
      ),
      ...stores !== undefined && { store: stores.store(name) },
      onEvent: logEvents(log, name ?? ALL),
    }),
    report: logEvents(log, ALL),
  });
}

/** Some keys of an object, as far as it has them. */
function pick<T extends object, K extends keyof T>(from: T, keys: readonly K[]): Pick<T, K> {
  return Object.fromEntries(
    keys.filter((key) => from[key] !== undefined).map((key) => [key, from[key]]),
    // The keys are those that were asked for
  ) as Pick<T, K>;
}
