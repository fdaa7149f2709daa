/**
 * Runs `mooring check`: reports what is wrong with a configuration, or sums it up, and connects to its
 * servers if asked to.
 *
 * @module
 */
import { endpointUrl, isLoopback } from "../adapters/serve_options.ts";
import type { OpenInit, Upstream } from "../gateway/mod.ts";
import { systemClock } from "../internal/clock.ts";
import { clip } from "../internal/quote.ts";
import { McpError } from "../protocol/errors.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import { backend } from "./backend.ts";
import { parseConfig, pathText, readConfig } from "./config.ts";
import type { Config, ServerEntry } from "./config_schema.ts";
import { ExitCode, messageOf } from "./errors.ts";
import type { Io } from "./io.ts";
import { printable } from "./log.ts";
import { enabledServers, settingsOf } from "./settings.ts";

/** The options of `mooring check`. */
export interface CheckOptions {
  readonly connect?: boolean;
}

/** Characters of a server's result that are shown. */
const MAX_LENGTH = 1_000;
/** Servers that are tried at the same time. */
const MAX_TRIALS = 8;
/** Time for one trial, in milliseconds. */
const TRIAL_MS = 30_000;
/** Lines of a failed program's output that are shown, the last ones. */
const MAX_LINES = 3;

/**
 * Checks a configuration file.
 *
 * @throws {CliError} If the file can't be read, or something in it is wrong
 */
export async function check(
  file: string,
  { connect = false }: CheckOptions,
  io: Io,
): Promise<ExitCode> {
  const { config, secrets } = parseConfig({ file, text: await readConfig(file), env: io.env });
  io.secrets.add(secrets);
  const problems = serverProblems(config);
  for (const problem of problems) io.err.write(`${file}: ${problem}\n`);
  if (problems.length > 0) return ExitCode.Failed;
  io.out.write(`${["OK", ...summary(config)].join("\n")}\n`);
  if (!connect) return ExitCode.Ok;
  io.out.write("\n");
  let failed = 0;
  await tryServers(config, ({ name, ok, text }) => {
    if (!ok) failed++;
    // Redacted before it is cut: half of a secret would not be recognized
    const shown = clip(printable(io.secrets.redact(text)), MAX_LENGTH);
    io.out.write(`${ok ? "ok    " : "FAILED"} ${name}: ${shown}\n`);
  });
  return failed === 0 ? ExitCode.Ok : ExitCode.Failed;
}

/** Finds the mistakes that the schema can't: options that an upstream refuses. */
function serverProblems(config: Config): string[] {
  return Object.entries(config.mcpServers).flatMap(([name, entry]) => {
    try {
      backend.upstream(entry);
      return [];
    } catch (error) {
      return [`${pathText(["mcpServers", name])}: ${messageOf(error)}`];
    }
  });
}

/** Sums a configuration up in a few lines, without anything that may be secret. */
function summary(config: Config): string[] {
  const { auth, mcpServers, publicUrl, redis, host = "127.0.0.1" } = config;
  const names = Object.keys(mcpServers);
  const width = Math.max(0, ...names.map((name) => name.length));
  // With --no-auth where it would be needed: the address is all that is shown of the settings
  const noAuth = auth === undefined;
  const { port, path } = settingsOf({ config, alone: undefined, noAuth });
  const open = noAuth && !isLoopback(host);
  return [
    "",
    `  Servers  ${names.length}`,
    ...Object.entries(mcpServers).map(([name, entry]) =>
      `    ${name.padEnd(width)}  ${serverText(entry)}`
    ),
    `  Endpoint ${publicUrl?.replace(/\/$/, "") ?? endpointUrl(host, port, "")}${path}`,
    `  Auth     ${authText(auth)}`,
    ...redis === undefined ? [] : ["  Sessions in Redis"],
    ...open
      ? ["", `Add auth, or serve it with --no-auth: other machines reach the address ${host}`]
      : [],
  ];
}

function serverText(entry: ServerEntry): string {
  const off = entry.disabled === true ? " (disabled)" : "";
  if ("url" in entry) {
    const { origin, pathname } = new URL(entry.url);
    return `${origin}${pathname}${off}`;
  }
  // Only their number: any argument may be a secret
  const count = entry.args?.length ?? 0;
  const args = count === 0 ? "" : count === 1 ? ", 1 argument" : `, ${count} arguments`;
  return `${printable(entry.command)}${args}${off}`;
}

function authText(auth: Config["auth"]): string {
  if (auth === undefined) return "none";
  if (auth.tokens !== undefined) {
    return `tokens of ${printable(auth.tokens.map(({ id }) => id).join(", "))}`;
  }
  const [kind, issuer] = auth.jwt === undefined
    ? ["introspection", auth.introspection?.issuer]
    : ["JWT", auth.jwt.issuer];
  return `${kind} of ${issuer}`;
}

/** The result of connecting to one server. */
interface Trial {
  readonly name: string;
  readonly ok: boolean;
  readonly text: string;
}

/** Connects to every enabled server once, and reports each result when it is known. */
async function tryServers(config: Config, report: (trial: Trial) => void): Promise<void> {
  const queue = [...enabledServers(config)];
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [name, entry] = next;
      report({ name, ...await tryServer(name, backend.upstream(entry)) });
    }
  };
  await Promise.all(Array.from({ length: MAX_TRIALS }, work));
}

async function tryServer(name: string, upstream: Upstream): Promise<Omit<Trial, "name">> {
  const start = performance.now();
  const limit = new AbortController();
  const timer = setTimeout(
    () => limit.abort(new Error(`It took longer than ${TRIAL_MS / 1_000} seconds`)),
    TRIAL_MS,
  );
  const output: string[] = [];
  try {
    const session = await upstream.open(openInit(name, limit.signal, output));
    try {
      const { serverInfo, protocolVersion, capabilities } = session.facts;
      const tools = capabilities.tools === undefined ? "no tools" : await session.request({
        method: "tools/list",
        params: {},
        signal: limit.signal,
        request: REQUEST,
        notify() {},
        ask,
      }).then(countTools);
      const ms = Math.round(performance.now() - start);
      const title = `${serverInfo.name} ${serverInfo.version}`;
      return { ok: true, text: `${title}, ${protocolVersion}, ${tools}, ${ms} ms` };
    } finally {
      await session.close();
    }
  } catch (error) {
    return { ok: false, text: [messageOf(error), ...output].join(" | ") };
  } finally {
    clearTimeout(timer);
  }
}

/** Stands for the client's request, which a session is opened for. */
const REQUEST = new Request("http://localhost/");

function openInit(name: string, signal: AbortSignal, output: string[]): OpenInit {
  return {
    name,
    client: { capabilities: {} },
    principal: { id: "check" },
    request: REQUEST,
    downstream: { notified() {}, ask, ended() {} },
    signal,
    clock: systemClock,
    report(event) {
      if (event.type !== "upstream-output") return;
      output.push(event.text);
      if (output.length > MAX_LINES) output.shift();
    },
  };
}

function ask(): Promise<JsonObject> {
  return Promise.reject(new McpError(-32601, "There is no client to ask"));
}

function countTools({ tools, nextCursor }: JsonObject): string {
  const count = Array.isArray(tools) ? tools.length : 0;
  const more = nextCursor === undefined ? "" : " or more";
  return count === 1 && more === "" ? "1 tool" : `${count}${more} tools`;
}
