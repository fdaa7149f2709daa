/**
 * Runs `mooring serve`, from its options to the end of the server.
 *
 * @module
 */
import { resolve } from "node:path";
import { isLoopback } from "../adapters/serve_options.ts";
import { systemClock } from "../internal/clock.ts";
import { backend } from "./backend.ts";
import { banner } from "./banner.ts";
import { parseConfig, readConfig } from "./config.ts";
import { configFromOptions, ONLY, type ServeOptions } from "./config_from_options.ts";
import type { Config } from "./config_schema.ts";
import { ExitCode, messageOf } from "./errors.ts";
import type { Io } from "./io.ts";
import { type Log, makeLog } from "./log.ts";
import { Reloader } from "./reload.ts";
import { Server } from "./server.ts";
import { type Settings, settingsOf } from "./settings.ts";
import { openStores } from "./stores.ts";

/** Time to end within after the grace period, in milliseconds. */
const END_MS = 15_000;

/**
 * Serves until a signal stops it.
 *
 * @throws {CliError} If the server can't start
 */
export async function serve(given: ServeOptions, io: Io): Promise<ExitCode> {
  const options = configFromOptions(given);
  const file = given.config === undefined ? undefined : resolve(given.config);
  const text = file === undefined ? "{}" : await readConfig(file);
  const parse = (text: string): Config => {
    const source = { file: given.config ?? "mooring serve", text, env: io.env, options };
    const { config, secrets } = parseConfig(source);
    io.secrets.add(secrets);
    return config;
  };
  const config = parse(text);
  const settings = settingsOf({
    config,
    alone: file === undefined ? ONLY : undefined,
    noAuth: given.auth === false,
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
  log("info", "stopping", { message: "Stopping. Send the signal again to stop at once" });
  ignore?.();
  await reloader?.close();
  return await end(server, settings, signals.second, log);
}

function logOf({ log, logLevel = "info" }: Config, io: Io): Log {
  const { color, err: sink, secrets: { redact } } = io;
  return makeLog({
    format: logFormat({ log }, io),
    level: logLevel,
    color,
    sink,
    redact,
    now: Date.now,
  });
}

function logFormat({ log }: Pick<Config, "log">, { terminal }: Io): "json" | "text" {
  return log ?? (terminal ? "text" : "json");
}

function announce(server: Server, { config, host }: Settings, io: Io, log: Log): void {
  const { url, base } = server;
  const names = server.names();
  log("info", "listening", { url, servers: names });
  if (config.auth === undefined) {
    const [level, message] = isLoopback(host)
      ? ["info", "Everybody on this machine may call"] as const
      : ["warn", "Everybody who reaches the address may call"] as const;
    log(level, "anonymous", { message });
  }
  if (logFormat(config, io) === "json") return;
  io.out.write(banner({ url, base, names, tokens: config.auth?.tokens !== undefined }));
}

/** The first and the second signal to stop. */
interface StopSignals {
  readonly first: Promise<void>;
  readonly second: Promise<void>;
}

/** Listens from now on: between the two the runtime must not end the process on a signal. */
function stopSignals(io: Io): StopSignals {
  const first = Promise.withResolvers<void>();
  const second = Promise.withResolvers<void>();
  let received = 0;
  io.onSignal(["SIGINT", "SIGTERM"], () => (received++ === 0 ? first : second).resolve());
  return { first: first.promise, second: second.promise };
}

/** Closes the server, but waits neither after a second signal nor for longer than {@linkcode END_MS}. */
async function end(
  server: Server,
  { graceMs }: Settings,
  secondSignal: Promise<void>,
  log: Log,
): Promise<ExitCode> {
  const { promise, resolve } = Promise.withResolvers<ExitCode>();
  secondSignal.then(() => resolve(ExitCode.Failed));
  const late = setTimeout(() => {
    log("error", "stopping", { message: "Something doesn't end: stopping without it" });
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
