/**
 * Runs `mooring stdio`: serves what a configuration says to the client that started the command.
 *
 * @module
 */
import { serveStdio, type StdioOptions } from "../../adapters/stdio.ts";
import { isObject, quote, systemClock } from "../../kit.ts";
import type { Gateway } from "../../gateway/mod.ts";
import { backend } from "./backend.ts";
import { eventOptions } from "./events.ts";
import { readConfig } from "../config/config.ts";
import { ONLY, type ServeCommandOptions } from "../config/serve_options.ts";
import type { Config } from "../config/schema.ts";
import { configSource } from "../config/source.ts";
import { CliError, ExitCode } from "../errors.ts";
import type { Io } from "../io.ts";
import { eventLogger, type Log } from "../log.ts";
import { changesBetween, Reloader } from "./reload.ts";
import { logOf } from "./serve.ts";
import { policyOf, policyText } from "../config/policy.ts";
import { GATEWAY_LIMITS, gatewayOf, longCallsOf, pick, viewOf, withApplied } from "./server.ts";
import { enabledServers } from "../config/settings.ts";
import { logWarnings } from "./warnings.ts";

/** The limits of a configuration that a server on pipes has. */
const LIMITS = [
  "bodyBytes",
  "jsonDepth",
  "batch",
  "eventBytes",
  "requests",
  "listens",
  "resultBytes",
  "page",
  "subscriptions",
  "longCalls",
] as const;

/** Whether a limit of a configuration has an effect on pipes. */
function isUsed(limit: string): boolean {
  return [...LIMITS, ...GATEWAY_LIMITS].some((name) => name === limit);
}

/** Whether each key of a configuration has an effect on pipes. */
const ON_PIPES: { readonly [Key in keyof Required<Config>]: boolean } = {
  $schema: true,
  mcpServers: true,
  separator: true,
  stateless: true,
  listWaitMs: true,
  toolSearch: true,
  longCalls: true,
  policy: true,
  strict: true,
  pins: true,
  limits: true,
  requests: true,
  graceMs: true,
  log: true,
  logLevel: true,
  // What follows is about HTTP, other nodes, or users.
  host: false,
  port: false,
  path: false,
  publicUrl: false,
  auth: false,
  signIn: false,
  allowedOrigins: false,
  allowedHosts: false,
  rateLimit: false,
  sessions: false,
  redis: false,
  secret: false,
  processes: false,
  // The only session ends with the pipe.
  data: false,
  onRestart: false,
  metrics: false,
  otel: false,
  audit: false,
  dashboard: false,
  operators: false,
  events: true,
};

/** Tells whether tokens of a server are this server's own, so that no user is needed. */
function isMachine(oauth: unknown): boolean {
  return isObject(oauth) && oauth["grant"] === "client_credentials";
}

/** Returns the keys that a configuration has, and that have no effect on pipes. */
function unusedKeys(config: Config): readonly string[] {
  const limits = Object.keys(config.limits ?? {}).filter((name) => !isUsed(name));
  const keys = Object.entries(ON_PIPES).flatMap(([key, used]) =>
    used || config[key as keyof Config] === undefined ? [] : [key]
  );
  const oauth = [...enabledServers(config)].flatMap(([name, entry]) =>
    "oauth" in entry && entry.oauth !== false && !isMachine(entry.oauth)
      ? [`mcpServers.${name}.oauth`]
      : []
  );
  return [...keys, ...limits.map((name) => `limits.${name}`), ...oauth];
}

/**
 * Serves on stdin and stdout, until the client closes stdin or a signal comes.
 *
 * @throws {CliError} If the configuration is wrong
 */
export async function stdio(given: ServeCommandOptions, io: Io): Promise<ExitCode> {
  const { only } = given;
  const { file, text, parse } = await configSource("mooring stdio", given, io);
  const { config, warnings } = parse(text);
  const alone = file === undefined ? ONLY : only;
  const names = [...enabledServers(config).keys()];
  if (alone !== undefined && !names.includes(alone)) {
    throw new CliError(
      `Give --only a server of the file, which are ${
        names.map((name) => quote(name)).join(", ")
      }: ` +
        quote(alone),
    );
  }
  const log = logOf(config, io);
  logWarnings(warnings, log);
  const gateway = gatewayOf(config, backend);
  const server = serveStdio(viewOf(gateway, config, alone), {
    ...optionsOf(config, log),
    signals: true,
    exit: false,
  });
  log("info", "serving", { servers: alone === undefined ? names : [alone] });
  const unused = unusedKeys(config);
  if (unused.length > 0) {
    const message = "These keys have no effect on pipes, where the only client starts the command";
    log("warn", "not-honoured", { message, keys: unused });
  }
  const reloader = file === undefined ? undefined : new Reloader({
    file,
    read: () => readConfig(file),
    apply: applierOf(config, gateway, (text) => {
      const { config, warnings } = parse(text);
      logWarnings(warnings, log);
      return config;
    }, log),
    log,
    clock: systemClock,
  }, text);
  reloader?.watch();
  const ignore = reloader && io.onSignal(["SIGHUP"], () => void reloader.now());
  await server.finished;
  ignore?.();
  await reloader?.close();
  await gateway.close();
  log("info", "stopped", {});
  return ExitCode.Ok;
}

function optionsOf(config: Config, log: Log): StdioOptions {
  const { limits, requests, graceMs, events } = config;
  return {
    ...events !== undefined && { events: eventOptions(config, events.nodeName) },
    ...limits !== undefined && { limits: pick(limits, LIMITS) },
    ...requests !== undefined && { requests },
    ...graceMs !== undefined && { graceMs },
    ...longCallsOf(config),
    onEvent: eventLogger(log, "stdio"),
  };
}

/** Returns what applies the servers of a changed file. Changes of anything else need a restart. */
function applierOf(
  begun: Config,
  gateway: Gateway,
  parse: (text: string) => Config,
  log: Log,
): (text: string) => Promise<void> {
  let before = begun;
  return async (text) => {
    const after = parse(text);
    const { set, removed, restart } = changesBetween(before, after);
    const upstreams = [...set].map(([name, entry]) => [name, backend.upstream(entry)] as const);
    const applied = withApplied(before, after);
    if (policyText(applied) !== policyText(before)) gateway.setPolicy(policyOf(applied));
    before = applied;
    if (restart.length > 0) {
      log("warn", "restart-needed", { message: "Restart to apply these keys", keys: restart });
    }
    await Promise.all([
      ...removed.map((name) => gateway.remove(name)),
      ...upstreams.map(([name, upstream]) => gateway.set(name, upstream)),
    ]);
    log("info", "reloaded", { set: [...set.keys()], removed });
  };
}
