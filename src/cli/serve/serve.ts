/**
 * Runs `mooring serve`, from its options to the end of the server.
 *
 * @module
 */
import { isLoopback, onStopSignals, systemClock } from "../../kit.ts";
import { type GroupMember, groupMember, memberReady } from "../../kit_node.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import { openAudit } from "./audit.ts";
import { backend } from "./backend.ts";
import { banner, dashboardText, operatorsText } from "./banner.ts";
import { readConfig } from "../config/config.ts";
import { ONLY, type ServeCommandOptions } from "../config/serve_options.ts";
import type { Config, ServerEntry } from "../config/schema.ts";
import { processCount } from "../config/process_count.ts";
import { type ConfigSource, configSource } from "../config/source.ts";
import { ExitCode, messageOf } from "../errors.ts";
import type { Io } from "../io.ts";
import { type Log, makeLog } from "../log.ts";
import { loadMetrics, type MetricsListener, serveMetrics } from "./metrics.ts";
import { configOf, endWithCommand, isFirst, namedLog, nodeData, ofMember } from "./node_process.ts";
import { serveWithProcesses } from "./processes.ts";
import { type Otel, otelSecrets, startOtel } from "./otel.ts";
import { Reloader } from "./reload.ts";
import { CommandServer } from "./server.ts";
import { type CommandSettings, enabledServers, settingsOf } from "../config/settings.ts";
import { openData } from "./data.ts";
import { inheritedSocket } from "./inherited_socket.ts";
import { openStores } from "./stores.ts";
import { tryProvider } from "./sign_in.ts";
import { tryServers } from "../check/trial.ts";
import { findUnmatched } from "../check/unmatched.ts";
import { logWarnings } from "./warnings.ts";

/** Time to end within after the grace period, in milliseconds. */
const END_MS = 15_000;

/**
 * Serves until a signal stops it.
 *
 * @throws {CliError} If the server can't start
 */
export async function serve(given: ServeCommandOptions, io: Io): Promise<ExitCode> {
  const member = groupMember(io.env);
  const { file, text, parse } = await sourceOf(given, member, io);
  const { config, warnings } = parse(text);
  const settings = ofMember(
    settingsOf({
      config,
      alone: file === undefined ? ONLY : undefined,
      noAuth: given.auth === false,
    }),
    member,
  );
  const ownLog = logOf(config, io);
  const log = member === undefined ? ownLog : joinGroup(member, settings, ownLog, io);
  if (member === undefined) logWarnings(warnings, log);
  const socket = inheritedSocket(io.env);
  if (member === undefined && processCount(config) > 1) {
    return await serveWithProcesses(settings, { file, socket }, io, log);
  }
  const audit = await openAudit(config, log);
  const redis = member && nodeData(member).redis;
  const data = config.redis === undefined && redis === undefined
    ? openData({ config, file, given, env: io.env, log })
    : openStores(config, log, redis).then((stores) => ({ stores, announce() {} }));
  const { stores, announce: announceData } = await data.catch(async (error) => {
    await audit?.close();
    throw error;
  });
  const metrics = await startMetrics(config, log).catch(async (error) => {
    await stores?.close();
    await audit?.close();
    throw error;
  });
  const otel = await exporting(config, settings, io, log).catch(async (error) => {
    await metrics?.listener.stop();
    await stores?.close();
    await audit?.close();
    throw error;
  });
  const init = {
    ...{ settings, backend, stores, log, socket, member, redact: io.secrets.redact },
    ...{ audit: audit?.trail, metrics: metrics?.metrics, telemetry: otel?.telemetry },
  };
  const server = await CommandServer.start(init).catch(async (error) => {
    await otel?.close();
    await metrics?.listener.stop();
    await stores?.close();
    await audit?.close();
    throw error;
  });
  let retrials: Trials | undefined;
  const reloader = file === undefined ? undefined : new Reloader({
    file,
    read: () => readConfig(file),
    apply: async (text) => {
      const { config, warnings } = parse(text);
      logWarnings(warnings, log);
      const { set } = await server.apply(config);
      retrials?.stop();
      if (!isFirst(member)) return;
      retrials = trySoon(set, log);
      const tried = retrials;
      void tried.done.then(() => logUnmatched(config, tried, log));
    },
    log,
    clock: systemClock,
  }, text);
  reloader?.watch();
  const ignore = (reloader ?? audit) && io.onSignal(["SIGHUP"], () => {
    audit?.reopen();
    void reloader?.now();
  });
  const signals = stopSignals(io);
  // Before, a signal would end this process at once
  if (member !== undefined) memberReady();
  const trials = isFirst(member) ? trySoon(enabledServers(config), log) : undefined;
  if (trials !== undefined) void logTrials(config, trials, log);
  const stopped = announce(server, settings, trials, stores !== undefined, io, log);
  announceData();
  await signals.first;
  stopped();
  trials?.stop();
  retrials?.stop();
  log("info", "stopping", { message: drainText(server.running, settings.graceMs) });
  ignore?.();
  await reloader?.close();
  const code = await end(server, settings, signals.second, log);
  // Who stops the server at once doesn't wait for a collector
  if (code === ExitCode.Ok) await otel?.close();
  // Last, so that a scrape shows how the server drains
  await metrics?.listener.stop();
  await audit?.close();
  return code;
}

/** Reads the configuration, as the process that this is has it. */
async function sourceOf(
  given: ServeCommandOptions,
  member: GroupMember | undefined,
  io: Io,
): Promise<ConfigSource> {
  const source = await configSource("mooring serve", given, io);
  if (member === undefined) return source;
  return {
    ...source,
    parse(text) {
      const { config, warnings } = source.parse(text);
      // One process says what is wrong with the file, for all
      return { config: configOf(config, member), warnings: isFirst(member) ? warnings : [] };
    },
  };
}

/** Makes this process one of several: its log names it, and it ends with the command. */
function joinGroup(member: GroupMember, { node }: CommandSettings, log: Log, io: Io): Log {
  io.secrets.add([nodeData(member).secret]);
  endWithCommand(member);
  return namedLog(log, node);
}

/**
 * Exports to OpenTelemetry, if the configuration says so.
 *
 * @throws {CliError} If a package isn't installed, or an environment variable is wrong
 */
async function exporting(
  { otel }: Config,
  { node }: CommandSettings,
  io: Io,
  log: Log,
): Promise<Otel | undefined> {
  if (otel !== true) return undefined;
  io.secrets.add(otelSecrets(io.env));
  return await startOtel({ env: io.env, node, log });
}

/**
 * Listens for scrapes, if the configuration asks for metrics.
 *
 * @throws {CliError} If it can't listen on the address
 */
async function startMetrics(
  { metrics: address }: Config,
  log: Log,
): Promise<{ readonly metrics: Metrics; readonly listener: MetricsListener } | undefined> {
  if (address === undefined) return undefined;
  const metrics = await loadMetrics();
  const failed = (error: unknown): void => {
    log("error", "error", { during: "serving metrics", message: messageOf(error) });
  };
  const listener = await serveMetrics(address, metrics, failed);
  log("info", "metrics", { scrape: listener.url });
  if (!isLoopback(address.hostname)) {
    const message = "Everybody who reaches the address of the metrics may read them";
    log("warn", "metrics", { message });
  }
  return { metrics, listener };
}

/** What came of trying servers. */
interface Trials {
  /** Resolves when all have been tried. Never rejects. */
  readonly done: Promise<void>;
  /** Why servers don't work, by their names, as far as that is known by now. */
  readonly failed: ReadonlyMap<string, string>;
  /** Aborts when they were stopped. */
  readonly signal: AbortSignal;
  stop(): void;
}

/**
 * Connects to each server once, and logs which of them don't work: the operator hears of it before a client
 * does.
 */
function trySoon(servers: Iterable<readonly [string, ServerEntry]>, log: Log): Trials {
  const stopped = new AbortController();
  const failed = new Map<string, string>();
  const done = tryServers({
    servers,
    backend,
    signal: stopped.signal,
    report({ name, ok, text, failure }) {
      if (ok) return log("debug", "server-works", { server: name, found: text });
      if (NEEDS_CLIENT.some((kind) => kind === failure)) {
        return log("info", "server-unauthorized", { message: text, server: name });
      }
      failed.set(name, text);
      log("error", "server-failed", { message: text, server: name });
    },
  });
  return { done, failed, signal: stopped.signal, stop: () => stopped.abort() };
}

/** Logs what doesn't work of the login and of the rules. Never rejects. */
async function logTrials(config: Config, trials: Trials, log: Log): Promise<void> {
  void trials.done.then(() => logUnmatched(config, trials, log));
  const tried = await tryProvider(config, trials.signal);
  if (tried?.problem === undefined || trials.signal.aborted) return;
  log("error", "sign-in-provider", { message: tried.problem, provider: tried.name });
}

/** Logs the rules that match nothing of their servers. Never rejects. */
async function logUnmatched(config: Config, { signal }: Trials, log: Log): Promise<void> {
  if (signal.aborted) return;
  const found = await findUnmatched(config, backend).catch(() => []);
  for (const { isWrong, text } of found) {
    log(isWrong ? "error" : "warn", "rule-unmatched", { message: text });
  }
}

/** Failures of a server that may need credentials which only clients have. */
const NEEDS_CLIENT = ["unauthorized", "forbidden"] as const;

/** The longest time that the text at the start waits for servers to fail, in milliseconds. */
const BANNER_MS = 2_000;

/** Says what is waited for after a signal to stop. */
function drainText(running: number, graceMs: number): string {
  if (running === 0) return "Stopping: no calls are running. Press Ctrl-C again to stop at once";
  const calls = running === 1 ? "1 call" : `${running} calls`;
  const seconds = Math.ceil(graceMs / 1_000);
  return `Draining: waiting up to ${seconds} s for ${calls}. Press Ctrl-C again to stop at once`;
}

/** Creates the log of a configuration, on stderr. */
export function logOf({ log, logLevel = "info" }: Config, io: Io): Log {
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

/**
 * Says that the server listens. In a terminal, the text about it waits a little for servers that don't work.
 *
 * @param trials `undefined` if another process says the rest
 * @param isStored Whether sessions and logins are kept when the process ends
 * @returns A function that keeps the text back, if it still waits
 */
function announce(
  server: CommandServer,
  { config, host }: CommandSettings,
  trials: Trials | undefined,
  isStored: boolean,
  io: Io,
  log: Log,
): () => void {
  const { url, base } = server;
  const names = server.names();
  log("info", "listening", { url, servers: names });
  if (trials === undefined) return () => {};
  if (names.length === 0) {
    log("warn", "no-servers", { message: "Add a server to mcpServers: there is none to serve" });
  }
  if (config.signIn !== undefined && !isStored) {
    const message = "Logins are in memory: users sign in again after a restart";
    log("info", "sign-in-in-memory", { message });
  }
  if (config.auth === undefined && config.signIn === undefined) {
    const [level, message] = isLoopback(host)
      ? ["info", "Everybody on this machine may call"] as const
      : ["warn", "Everybody who reaches the address may call"] as const;
    log(level, "anonymous", { message });
  }
  const { dashboard } = server;
  if (dashboard !== undefined) {
    log("info", "dashboard", { url: dashboard.url });
    const page = dashboard.link();
    // Not in the log: a link is a secret until it was used
    io.out.write(
      page === undefined
        ? operatorsText(dashboard.url)
        : dashboardText(page, dashboard.link() ?? ""),
    );
  }
  if (logFormat(config, io) === "json") return () => {};
  let isWritten = false;
  const write = (): void => {
    if (isWritten) return;
    isWritten = true;
    const { failed } = trials;
    const tokens = config.auth?.tokens !== undefined;
    io.out.write(banner({ url, base, names, tokens, failed: new Set(failed.keys()) }));
  };
  const timer = setTimeout(write, BANNER_MS);
  void trials.done.then(write);
  return () => {
    clearTimeout(timer);
    isWritten = true;
  };
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
  onStopSignals({
    listen: (listener) => io.onSignal(["SIGINT", "SIGTERM"], listener),
    clock: systemClock,
    stop: first.resolve,
    force: second.resolve,
  });
  return { first: first.promise, second: second.promise };
}

/** Closes the server, but waits neither after a second signal nor for longer than {@linkcode END_MS}. */
async function end(
  server: CommandServer,
  { graceMs }: CommandSettings,
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
    log("info", "stopped", { message: "Stopped: everything has ended" });
    resolve(ExitCode.Ok);
  }, (error: unknown) => {
    log("error", "error", { during: "stopping", message: messageOf(error) });
    resolve(ExitCode.Failed);
  });
  const code = await promise;
  clearTimeout(late);
  return code;
}
