/**
 * Where nodes keep what they share: nowhere, or in Redis, whose client is only loaded then.
 *
 * @module
 */
import type { Config } from "./config_schema.ts";
import { CliError, ExitCode, messageOf } from "./errors.ts";
import type { Log } from "./log.ts";
import type { Stores } from "./server.ts";

/**
 * Connects to what the configuration names.
 *
 * @throws {CliError} If it can't be reached
 */
export async function openStores({ redis }: Config, log: Log): Promise<Stores | undefined> {
  if (redis === undefined) return undefined;
  const { url, prefix = "mooring" } = typeof redis === "string" ? { url: redis } : redis;
  const [{ createClient }, { redisStore }] = await Promise.all([
    import("redis"),
    import("../redis/mod.ts"),
  ]);
  const client = createClient({ url });
  // Every endpoint listens, and there is one for each server.
  client.setMaxListeners(0);
  const { promise: failed, reject } = Promise.withResolvers<never>();
  let connected = false;
  client.on("error", (error: unknown) => {
    if (connected) log("warn", "redis", { message: messageOf(error) });
    else reject(error);
  });
  try {
    // By itself the client would go on trying for ever.
    await Promise.race([client.connect(), failed]);
    connected = true;
  } catch (cause) {
    client.destroy();
    const { host } = new URL(url);
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
