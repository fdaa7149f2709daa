/**
 * Runs `mooring check`: reports what is wrong with a configuration, or sums it up, and connects to its
 * servers if asked to.
 *
 * @module
 */
import { basename } from "node:path";
import type { JsonObject, Principal } from "../../../mod.ts";
import { mergeExtensions, type UpstreamExtensions } from "../../gateway/shared/extensions.ts";
import { clip, escapeInvisible, isLoopback, isObject, shown } from "../../kit.ts";
import { endpointUrl } from "../../kit_node.ts";
import { startProblem } from "../../gateway/upstreams/start_problem.ts";
import { backend } from "../serve/backend.ts";
import {
  configError,
  examineConfig,
  type Examined,
  pathText,
  readConfig,
} from "../config/config.ts";
import type { Config, ServerEntry } from "../config/schema.ts";
import { processCount } from "../config/process_count.ts";
import type { EnvProblem } from "../config/env.ts";
import { definitionsOf } from "../inspect/definitions.ts";
import { ExitCode, messageOf } from "../errors.ts";
import { explain, principalOf } from "./explain.ts";
import { differences, pinsOf } from "./pin.ts";
import type { Pins } from "../config/pins.ts";
import { policyOf } from "../config/policy.ts";
import type { Io } from "../io.ts";
import { printable } from "../log.ts";
import { enabledServers, settingsOf } from "../config/settings.ts";
import { providerOf } from "../config/sign_in.ts";
import { tryProvider } from "../serve/sign_in.ts";
import { examineApis } from "./apis.ts";
import { grantLine, grantText, isOnBehalf, signInLine, wantsUsers } from "./sign_ins.ts";
import { tryServers } from "./trial.ts";
import { findUnmatched } from "./unmatched.ts";
import { writeWarnings } from "../serve/warnings.ts";

/** The options of `mooring check`. */
export interface CheckOptions {
  readonly connect?: boolean;
  /** What the user with this id may use of each server, and why. */
  readonly for?: string;
  /** The values of the file's inputs, by their ids. */
  readonly input?: Readonly<Record<string, string>>;
}

/** Characters of a server's result that are shown. */
const MAX_LENGTH = 1_000;

/**
 * Checks a configuration file.
 *
 * @throws {CliError} If the file can't be read, or something in it is wrong
 */
export async function check(
  file: string,
  { connect = false, for: user, input: inputs }: CheckOptions,
  io: Io,
): Promise<ExitCode> {
  const source = { file, text: await readConfig(file), env: io.env, inputs };
  const examined = examineConfig(source);
  io.secrets.add(examined.secrets);
  writeWarnings(examined.warnings, io);
  const { config } = examined;
  // Connecting finds the programs that can't be started by itself
  const tried = (connect || user !== undefined) && config !== undefined &&
    examined.problems.length === 0;
  const problems = [...examined.problems, ...tried ? [] : await programProblems(examined)];
  if (config === undefined || problems.length > 0) {
    throw configError(source, problems, examined.originOf);
  }
  const apis = await examineApis(config, connect);
  const principal = user === undefined ? undefined : principalOf(user, config);
  // Reads the pins
  const policy = policyOf(config);
  io.out.write(`${escapeInvisible(["OK", ...summary(config)].join("\n"))}\n`);
  let failed = 0;
  for (const { ok, line } of apis) {
    if (!ok) failed++;
    io.out.write(`${clip(printable(io.secrets.redact(line)), MAX_LENGTH)}\n`);
  }
  if (principal !== undefined) {
    const code = await explainAll(principal, config, io);
    return failed === 0 ? code : ExitCode.Failed;
  }
  if (!connect) return failed === 0 ? ExitCode.Ok : ExitCode.Failed;
  io.out.write("\n");
  const servers = enabledServers(config);
  const unauthorized: string[] = [];
  const onBehalf = [...servers].filter(([, entry]) => isOnBehalf(entry));
  const offers: UpstreamExtensions[] = [];
  await tryServers({
    // Without a caller there is no token to exchange
    servers: [...servers].filter(([, entry]) => !isOnBehalf(entry)),
    backend,
    report({ name, ok, text, failure, extensions }) {
      offers.push({ name, extensions, isUnknown: !ok });
      if (failure === "unauthorized" && wantsUsers(servers.get(name))) {
        unauthorized.push(name);
        return;
      }
      if (!ok) failed++;
      // Redacted before it is cut: half of a secret would not be recognized
      const shown = clip(printable(io.secrets.redact(text)), MAX_LENGTH);
      io.out.write(`${ok ? "ok    " : "FAILED"} ${name}: ${shown}\n`);
    },
  });
  const lines = [
    ...onBehalf.map(([name, entry]) => ({ name, line: grantLine(entry) })),
    ...unauthorized.sort().map((name) => ({ name, line: signInLine(servers.get(name), config) })),
  ];
  for (const { name, line } of lines) {
    const { ok, text } = await line;
    if (!ok) failed++;
    const shown = clip(printable(io.secrets.redact(text)), MAX_LENGTH);
    io.out.write(`${ok ? "ok    " : "FAILED"} ${name}: ${shown}\n`);
  }
  for (const line of extensionLines(offers)) io.out.write(`warn   ${printable(line)}\n`);
  const provider = await tryProvider(config);
  if (provider !== undefined) {
    const { name, problem = "answers" } = provider;
    if (provider.problem !== undefined) failed++;
    const shown = clip(printable(io.secrets.redact(`${name}: ${problem}`)), MAX_LENGTH);
    io.out.write(`${provider.problem === undefined ? "ok    " : "FAILED"} signIn: ${shown}\n`);
  }
  for (const { isWrong, text } of await findUnmatched(config, backend)) {
    if (isWrong) failed++;
    io.out.write(`${isWrong ? "FAILED" : "warn  "} ${printable(io.secrets.redact(text))}\n`);
  }
  for (const line of await changedPins(servers, policy?.pins ?? {})) {
    failed++;
    io.out.write(`FAILED ${io.secrets.redact(line)}\n`);
  }
  return failed === 0 ? ExitCode.Ok : ExitCode.Failed;
}

/** Returns a line for each extension that servers offer, and clients of all servers don't get. */
function extensionLines(offers: readonly UpstreamExtensions[]): readonly string[] {
  return mergeExtensions(offers).withheld.map(({ extension, upstreams, reason }) => {
    const names = [...upstreams].sort().join(", ");
    const why = reason === "settings" ? "with different settings" : "but not by all servers";
    return `${
      shown(extension)
    }: offered by ${names}, ${why}; clients get it at /servers/NAME alone`;
  });
}

/** Writes what a user may use of each server, and why. */
async function explainAll(principal: Principal, config: Config, io: Io): Promise<ExitCode> {
  let failed = 0;
  for (const [name, entry] of enabledServers(config)) {
    io.out.write(`\n${name}\n`);
    try {
      const found = await definitionsOf(name, entry, backend);
      const lines = explain(name, found, principal, config);
      const shown = lines.length === 0 ? ["nothing is there to use"] : lines;
      for (const line of shown) io.out.write(`  ${io.secrets.redact(line)}\n`);
    } catch (error) {
      failed++;
      io.out.write(
        `  FAILED ${clip(printable(io.secrets.redact(messageOf(error))), MAX_LENGTH)}\n`,
      );
    }
  }
  return failed === 0 ? ExitCode.Ok : ExitCode.Failed;
}

/** Returns a line for each definition that isn't as it was pinned. */
async function changedPins(
  servers: ReadonlyMap<string, ServerEntry>,
  pins: Pins,
): Promise<string[]> {
  const found: string[] = [];
  for (const [name, entry] of servers) {
    const pinned = Object.hasOwn(pins, name) ? pins[name] : undefined;
    if (pinned === undefined) continue;
    // One that can't be reached has its own line
    const now = await pinsOf(name, entry, backend).catch(() => undefined);
    if (now === undefined) continue;
    for (const { kind, own, change } of differences(pinned, now)) {
      if (change === "gone") continue;
      const text = change === "new"
        ? "was not there when definitions were pinned"
        : "has changed since it was pinned";
      found.push(`${name}: withheld: ${kind} ${printable(own)} ${text}`);
    }
  }
  return found;
}

/** Finds the programs that can't be started, of all servers that are described well enough. */
async function programProblems({ value, problems }: Examined): Promise<EnvProblem[]> {
  const servers = isObject(value) && isObject(value["mcpServers"]) ? value["mcpServers"] : {};
  const wrong = new Set(problems.map(({ path }) => pathText(path)));
  const found: EnvProblem[] = [];
  for (const [name, entry] of Object.entries(servers)) {
    if (!isObject(entry) || entry["disabled"] === true || "url" in entry || "openapi" in entry) {
      continue;
    }
    const { command, cwd, env } = entry;
    if (typeof command !== "string" || command === "") continue;
    const at = (key: string) => ["mcpServers", name, key];
    if (wrong.has(pathText(at("command"))) || wrong.has(pathText(at("cwd")))) continue;
    const problem = await startProblem({
      command,
      env: isObject(env) ? textsOf(env) : {},
      cwd: typeof cwd === "string" ? cwd : undefined,
    });
    if (problem !== undefined) found.push({ path: at(problem.option), message: problem.advice });
  }
  return found;
}

function textsOf(values: JsonObject): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).filter((pair): pair is [string, string] => typeof pair[1] === "string"),
  );
}

/** Sums a configuration up in a few lines, without anything that may be secret. */
function summary(config: Config): string[] {
  const { auth, signIn, mcpServers, publicUrl, redis, host = "127.0.0.1" } = config;
  const names = Object.keys(mcpServers);
  const width = Math.max(0, ...names.map((name) => name.length));
  // With --no-auth where it would be needed: the address is all that is shown of the settings
  const noAuth = auth === undefined && signIn === undefined;
  const { port, path } = settingsOf({ config, alone: undefined, noAuth });
  const open = noAuth && !isLoopback(host);
  return [
    "",
    `  Servers  ${names.length}`,
    ...Object.entries(mcpServers).map(([name, entry]) =>
      `    ${name.padEnd(width)}  ${serverText(entry)}`
    ),
    ...programLines(config),
    `  Endpoint ${publicUrl?.replace(/\/$/, "") ?? endpointUrl(host, port, "")}${path}`,
    `  Auth     ${authText(config)}`,
    ...redis === undefined ? [] : ["  Sessions in Redis"],
    ...open
      ? ["", `Add auth, or serve it with --no-auth: other machines reach the address ${host}`]
      : [],
  ];
}

/** The sessions of a user by whom processes are counted. */
const EXAMPLE = 7;

/** Says how many processes the programs cost, by whose sessions use one. */
function programLines(config: Config): string[] {
  const programs = [...enabledServers(config).values()].filter((entry) => "command" in entry);
  if (programs.length === 0) return [];
  const [own, users, all] = (["session", "user", "all"] as const).map((whose) =>
    programs.filter(({ share = "session" }) => share === whose).length
  ) as [number, number, number]; // `map` keeps the length
  const parts = [`${own} for each session`, `${users} for each user`, `${all} for all`]
    .filter((part) => !part.startsWith("0 "));
  // What is shared is so within each process that serves: the sessions may be spread over them.
  const serving = Math.min(processCount(config), EXAMPLE);
  const cost = own * EXAMPLE + (users + all) * serving;
  const before = programs.length * EXAMPLE;
  const isSpread = users + all > 0 && serving > 1;
  const most = isSpread ? "up to " : "";
  const each = isSpread ? `, as ${processCount(config)} processes serve` : "";
  const saved = users + all === 0 ? "" : `, ${before} if nothing were shared`;
  const sum = `${most}${cost} processes for a user with ${EXAMPLE} sessions${each}${saved}`;
  return [`  Programs ${parts.join(", ")}: ${sum}`];
}

function serverText(entry: ServerEntry): string {
  const kept = entry.cache === undefined ? "" : ", results kept";
  const off = `${kept}${entry.disabled === true ? " (disabled)" : ""}`;
  if ("url" in entry) {
    const { origin, pathname } = new URL(entry.url);
    return `${origin}${pathname}${off}${grantText(entry)}`;
  }
  if ("openapi" in entry) {
    const url = URL.parse(entry.openapi);
    const place = url === null ? basename(entry.openapi) : `${url.origin}${url.pathname}`;
    return `${printable(place)}, an API${off}`;
  }
  // Only their number: any argument may be a secret
  const count = entry.args?.length ?? 0;
  const args = count === 0 ? "" : count === 1 ? ", 1 argument" : `, ${count} arguments`;
  const { share = "session" } = entry;
  const whose = share === "session" ? "" : `, one for ${share === "all" ? "all" : "each user"}`;
  return `${printable(entry.command)}${args}${whose}${off}`;
}

function authText({ auth, signIn }: Config): string {
  if (signIn !== undefined) return `users sign in with ${printable(providerOf(signIn).name)}`;
  if (auth === undefined) return "none";
  if (auth.tokens !== undefined) {
    return `tokens of ${printable(auth.tokens.map(({ id }) => id).join(", "))}`;
  }
  const [kind, issuer] = auth.jwt === undefined
    ? ["introspection", auth.introspection?.issuer]
    : ["JWT", auth.jwt.issuer];
  return `${kind} of ${issuer}`;
}
