/**
 * Opens the stores that nodes share, in Redis.
 *
 * @module
 */
import type { Store } from "../../../mod.ts";
import type { Config } from "../config/schema.ts";
import { CliError, ExitCode, messageOf } from "../errors.ts";
import type { Log } from "../log.ts";

/** The stores of all endpoints. */
export interface Stores {
  /** Returns the store of one server's endpoint, or without a name that of all servers together. */
  store(name: string | undefined): Store;
  /** Forgets everything of a server that was removed, once its endpoint is closed. */
  remove?(name: string): Promise<void>;
  /** A secret that is kept beside them, for sign-in, if they need one and nobody gave it. */
  readonly signInKey?: string | undefined;
  close(): Promise<void>;
}

/** A Redis that the command has started for its processes. */
export interface OwnRedis {
  /** The socket file. */
  readonly path: string;
}

/**
 * Connects to the Redis server that the configuration names, or to the command's own. Without one, each
 * endpoint keeps its sessions in memory.
 *
 * @throws {CliError} If it can't be reached
 */
export async function openStores(
  { redis }: Pick<Config, "redis">,
  log: Log,
  own?: OwnRedis,
): Promise<Stores | undefined> {
  if (redis === undefined && own === undefined) return undefined;
  const { url = "", prefix = "mooring" } = typeof redis === "object" ? redis : { url: redis };
  // Loaded only here: most configurations have no Redis
  const [{ createClient }, { redisStore }] = await Promise.all([
    import("redis").catch((cause: unknown) => {
      const message = 'Install the package "redis" to use Redis: npm install redis';
      throw new CliError(message, ExitCode.Failed, { cause });
    }),
    import("../../redis/mod.ts"),
  ]);
  const client = redis === undefined
    ? createClient({ socket: { path: own?.path ?? "", tls: false } })
    : createClient({ url });
  // Each endpoint adds a listener, and each server has an endpoint
  client.setMaxListeners(0);
  const { promise: failed, reject } = Promise.withResolvers<never>();
  let connected = false;
  client.on("error", (error: unknown) => {
    if (connected) log("warn", "redis", { message: messageOf(error) });
    else reject(error);
  });
  try {
    // By default the client would retry for ever
    await Promise.race([client.connect(), failed]);
    connected = true;
  } catch (cause) {
    client.destroy();
    const host = redis === undefined ? own?.path : new URL(url).host;
    const why = messageOf(cause);
    throw new CliError(`Start Redis, or correct its URL: ${host}: ${why}`, ExitCode.Failed, {
      cause,
    });
  }
  return {
    store: (name) =>
      redisStore({ client, prefix: name === undefined ? prefix : `${prefix}:server:${name}` }),
    async close() {
      await client.close();
    },
  };
}
