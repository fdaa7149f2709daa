/**
 * `mooring serve`: from the command line to a server, and to its end.
 *
 * @module
 */
import { resolve } from "node:path";
import { isLoopback } from "../adapters/serve_options.ts";
import { systemClock } from "../internal/clock.ts";
import type { Given } from "./args.ts";
import { banner } from "./banner.ts";
import { parseConfig, readConfig } from "./config.ts";
import type { Config } from "./config_schema.ts";
import { ExitCode, messageOf } from "./errors.ts";
import { flagValues, ONLY } from "./flag_values.ts";
import type { Io } from "./io.ts";
import { type Log, makeLog } from "./log.ts";
import { Reloader } from "./reload.ts";
import { type Backend, Server } from "./server.ts";
import { openStores } from "./stores.ts";
import { type Settings, settingsOf } from "./settings.ts";

/** How long the end may take beyond the grace period, in milliseconds. */
const END_MS = 15_000;

/**
 * Serves until it is told to stop.
 *
 * @throws {CliError} If it can't start
 */
export async function serve(given: Given, io: Io, backend: Backend): Promise<ExitCode> {
  const flags = flagValues(given);
  const named = given.text("config");
  const file = named === undefined ? undefined : resolve(named);
  const text = file === undefined ? "{}" : await readConfig(file);
  const parse = (text: string): Config => {
    const source = { file: named ?? "mooring serve", text, env: io.env, flags };
    const { config, secrets } = parseConfig(source);
    io.secrets.add(secrets);
    return config;
  };
  const config = parse(text);
  const settings = settingsOf({
    config,
    alone: file === undefined ? ONLY : undefined,
    noAuth: given.has("no-auth"),
  });
  const log = logOf(config, io);
  const stores = await openStores(config, log);
  const server = await Server.start({ settings, backend, stores, log }).catch(async (error) => {
    await stores?.close();
    throw error;
  });
  const reloader = file === undefined ? undefined : new Reloader({
    file,
    read: () => readConfig(file),
    apply: (text) => server.apply(parse(text)),
    log,
    clock: systemClock,
  }, text);
  reloader?.watch();
  const ignore = reloader && io.onSignal(["SIGHUP"], () => void reloader.now());
  const signals = stopSignals(io);
  announce(server, settings, io, log);
  await signals.first;
  log("info", "stopping", { message: "Stopping; once more to stop at once" });
  ignore?.();
  await reloader?.close();
  return await end(server, settings, signals.second, log);
}

function logOf({ log, logLevel = "info" }: Config, io: Io): Log {
  const format = log ?? (io.terminal ? "text" : "json");
  const { color, err: sink, secrets: { redact } } = io;
  return makeLog({ format, level: logLevel, color, sink, redact, now: Date.now });
}

function announce(server: Server, { config, host }: Settings, io: Io, log: Log): void {
  const { url, base } = server;
  const names = server.names();
  log("info", "listening", { url, servers: names });
  if (config.auth === undefined) {
    const [level, who] = isLoopback(host)
      ? ["info", "Everybody on this machine may call"] as const
      : ["warn", "Everybody who reaches the address may call"] as const;
    log(level, "anonymous", { message: who });
  }
  const text = (config.log ?? (io.terminal ? "text" : "json")) === "text";
  if (text) io.out.write(banner({ url, base, names, tokens: config.auth?.tokens !== undefined }));
}

/** When the process is asked to end, and when it is asked again. */
interface StopSignals {
  readonly first: Promise<void>;
  readonly second: Promise<void>;
}

/** Listens from now on: between the two the signals must not do what they do by default. */
function stopSignals(io: Io): StopSignals {
  const first = Promise.withResolvers<void>();
  const second = Promise.withResolvers<void>();
  let heard = 0;
  io.onSignal(["SIGINT", "SIGTERM"], () => (heard++ === 0 ? first : second).resolve());
  return { first: first.promise, second: second.promise };
}

/** Ends the server; a second signal doesn't wait for it, and neither does a server that hangs. */
async function end(
  server: Server,
  { graceMs }: Settings,
  again: Promise<void>,
  log: Log,
): Promise<ExitCode> {
  const { promise, resolve } = Promise.withResolvers<ExitCode>();
  again.then(() => resolve(ExitCode.Failed));
  const late = setTimeout(() => {
    log("error", "stopping", { message: "Something doesn't end: it is left to itself" });
    resolve(ExitCode.Failed);
  }, graceMs + END_MS);
  server.close().then(() => {
    log("info", "stopped");
    resolve(ExitCode.Ok);
  }, (error: unknown) => {
    log("error", "error", { during: "stopping", message: messageOf(error) });
    resolve(ExitCode.Failed);
  });
  const code = await promise;
  clearTimeout(late);
  return code;
}
