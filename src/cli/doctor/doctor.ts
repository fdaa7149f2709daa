/**
 * Runs `mooring doctor`: plays a client step by step, and says what stops it and whose fault that is.
 *
 * @module
 */
import { escapeInvisible, escapeInvisibleJson, isObject } from "../../kit.ts";
import { ExitCode, usageError } from "../errors.ts";
import { headersFor } from "../inspect/inspect.ts";
import type { Io } from "../io.ts";
import { JsonError, parseJson } from "../config/json.ts";
import { type ClientVerdict, judgeClients } from "./clients.ts";
import { checkAddress, checkHandshake, isPublic } from "./connection_steps.ts";
import type { Finding } from "./finding.ts";
import { checkLogin, checkWayIn, skipProtocol } from "./login_steps.ts";
import { checkProtocol, checkRest } from "./protocol_steps.ts";
import { type ProbeTarget, Visit } from "./visit.ts";

/** The options of `mooring doctor`. */
export interface DoctorOptions {
  readonly header?: Readonly<Record<string, string>>;
  readonly tokenEnv?: string;
  /** In seconds. */
  readonly timeout: number;
  readonly origin: string;
  /** The URL of the server itself, without proxies. */
  readonly direct?: string;
  readonly call?: string;
  readonly args?: string;
  readonly json?: boolean;
}

const MARKS = { passed: "ok    ", failed: "FAILED", warning: "warn  ", skipped: "-     " } as const;

/**
 * Examines a server.
 *
 * @returns {@linkcode ExitCode.Failed} if a step failed
 * @throws {CliError} If an option can't be read
 */
export async function doctor(text: string, options: DoctorOptions, io: Io): Promise<ExitCode> {
  const { url, headers } = await targetOf(text, options, io);
  const { json = false, origin, timeout } = options;
  const visit = new Visit({
    url,
    headers,
    direct: options.direct === undefined
      ? undefined
      : await targetOf(options.direct, options, io, " to --direct"),
    timeoutMs: timeout * 1_000,
    origin,
    call: callOf(options),
    onFinding: (finding) => {
      if (!json) io.out.write(lineOf(finding));
    },
  });
  await examine(visit);
  const { findings } = visit;
  const clients = judgeClients({
    findings,
    isPublic: await isPublic(url),
    isSecure: url.protocol === "https:",
    registration: visit.registration,
  });
  const isWell = findings.every(({ outcome }) => outcome !== "failed");
  io.out.write(
    json
      ? `${
        escapeInvisibleJson(
          JSON.stringify({ url: shownUrl(url), ok: isWell, steps: findings, clients }),
        )
      }\n`
      : summary(findings, clients),
  );
  return isWell ? ExitCode.Ok : ExitCode.Failed;
}

/** Reads a URL, and returns it with the headers that belong to it. */
async function targetOf(
  text: string,
  options: DoctorOptions,
  io: Io,
  place = "",
): Promise<ProbeTarget> {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw usageError(`Give a URL that begins with "https://" or "http://"${place}`);
  }
  io.secrets.add([url.password, ...url.searchParams.values()]);
  return { url, headers: await headersFor(url, options, io) };
}

/** Takes the steps in their order; what depends on a step that failed is left out. */
async function examine(visit: Visit): Promise<void> {
  if (!await checkAddress(visit)) return;
  if (!await checkHandshake(visit)) return;
  if (visit.refused !== undefined) {
    await checkLogin(visit, visit.refused);
    skipProtocol(visit);
  } else {
    await checkProtocol(visit);
    await checkWayIn(visit);
  }
  await checkRest(visit);
}

function callOf({ call: tool, args = "{}" }: DoctorOptions): Visit["init"]["call"] {
  if (tool === undefined) return undefined;
  try {
    const value = parseJson(args);
    if (isObject(value)) return { tool, args: value };
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
  }
  throw usageError("Give an object of JSON to --args");
}

function lineOf({ step, outcome, says, whose, clause, fix }: Finding): string {
  const lines = [`${MARKS[outcome]}  ${step.padEnd(20)}  ${says}`];
  if (whose !== undefined && outcome !== "passed") {
    const rule = clause === undefined ? "" : ` (${clause})`;
    lines.push(`${" ".repeat(30)}Whose: ${whose}${rule}`);
  }
  if (fix !== undefined) lines.push(`${" ".repeat(30)}Change: ${fix}`);
  return lines.map((line) => `${escapeInvisible(line)}\n`).join("");
}

function summary(findings: readonly Finding[], clients: readonly ClientVerdict[]): string {
  const count = (outcome: Finding["outcome"]) =>
    findings.filter((finding) => finding.outcome === outcome).length;
  const lines = clients.map(({ name, connects, because }) =>
    `  ${connects ? "can connect   " : "can't connect "}  ${name}${because ? `: ${because}` : ""}`
  );
  const total = `${count("passed")} passed, ${count("failed")} failed, ${
    count("warning")
  } warnings`;
  return ["", "Clients", ...lines, "", total, ""].join("\n");
}

/** Returns a URL without what may be a secret in it. */
function shownUrl(url: URL): string {
  const { origin, pathname } = url;
  return `${origin}${pathname}`;
}
