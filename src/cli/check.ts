/**
 * `mooring check`: says what is wrong with a configuration, or sums it up.
 *
 * @module
 */
import { endpointUrl, isLoopback } from "../adapters/serve_options.ts";
import { clip } from "../internal/quote.ts";
import type { Given } from "./args.ts";
import { parseConfig, pathText, readConfig } from "./config.ts";
import type { Config, ServerEntry } from "./config_schema.ts";
import { ExitCode, messageOf } from "./errors.ts";
import type { Io } from "./io.ts";
import { printable } from "./log.ts";
import type { Backend } from "./server.ts";
import { settingsOf } from "./settings.ts";
import { tryServers } from "./try_servers.ts";

/** The longest thing that is said about a server, in characters. */
const LONGEST = 1_000;

/**
 * Checks a configuration.
 *
 * @throws {CliError} If something in it is wrong
 */
export async function check(given: Given, io: Io, backend: Backend): Promise<ExitCode> {
  const file = given.operand ?? "";
  const { config, secrets } = parseConfig({ file, text: await readConfig(file), env: io.env });
  io.secrets.add(secrets);
  const problems = serverProblems(config, backend);
  for (const problem of problems) io.err.write(`${file}: ${problem}\n`);
  if (problems.length > 0) return ExitCode.Failed;
  io.out.write(`${["OK", ...summary(config)].join("\n")}\n`);
  if (!given.has("connect")) return ExitCode.Ok;
  io.out.write("\n");
  let failed = 0;
  await tryServers(config, backend, ({ name, ok, text }) => {
    if (!ok) failed++;
    // Secrets first: half of one would not be known any more.
    const said = clip(printable(io.secrets.redact(text)), LONGEST);
    io.out.write(`${ok ? "ok    " : "FAILED"} ${name}: ${said}\n`);
  });
  return failed === 0 ? ExitCode.Ok : ExitCode.Failed;
}

/** What the schema can't know: whether each server can be one. */
function serverProblems(config: Config, backend: Backend): string[] {
  return Object.entries(config.mcpServers).flatMap(([name, entry]) => {
    try {
      backend.upstream(entry);
      return [];
    } catch (error) {
      return [`${pathText(["mcpServers", name])}: ${messageOf(error)}`];
    }
  });
}

/** A configuration in a few lines, without anything that could be secret. */
function summary(config: Config): string[] {
  const { auth, mcpServers, publicUrl, redis, host = "127.0.0.1" } = config;
  const names = Object.keys(mcpServers);
  const width = Math.max(0, ...names.map((name) => name.length));
  // Where it would be served if everybody were meant to be let in
  const noAuth = auth === undefined;
  const { port, path } = settingsOf({ config, alone: undefined, noAuth });
  const open = noAuth && !isLoopback(host);
  return [
    "",
    `  Servers  ${names.length}`,
    ...Object.entries(mcpServers).map(([name, entry]) =>
      `    ${name.padEnd(width)}  ${described(entry)}`
    ),
    `  Endpoint ${publicUrl?.replace(/\/$/, "") ?? endpointUrl(host, port, "")}${path}`,
    `  Auth     ${authText(auth)}`,
    ...redis === undefined ? [] : ["  Sessions in Redis"],
    ...open ? ["", `Nobody is asked who they are: it is only served with --no-auth: ${host}`] : [],
  ];
}

function described(entry: ServerEntry): string {
  const off = entry.disabled === true ? " (disabled)" : "";
  if ("url" in entry) {
    const { origin, pathname } = new URL(entry.url);
    return `${origin}${pathname}${off}`;
  }
  // Arguments may hold secrets of any form.
  const count = entry.args?.length ?? 0;
  const args = count === 0 ? "" : count === 1 ? ", 1 argument" : `, ${count} arguments`;
  return `${printable(entry.command)}${args}${off}`;
}

function authText(auth: Config["auth"]): string {
  if (auth === undefined) return "none";
  if (auth.tokens !== undefined) {
    return `tokens of ${printable(auth.tokens.map(({ id }) => id).join(", "))}`;
  }
  const [way, issuer] = auth.jwt === undefined
    ? ["introspection", auth.introspection?.issuer]
    : ["JWT", auth.jwt.issuer];
  return `${way} of ${issuer}`;
}
