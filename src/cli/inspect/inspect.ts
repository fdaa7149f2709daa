/**
 * Runs `mooring inspect`: shows what a server offers, or calls one of its tools.
 *
 * @module
 */
import type { JsonObject } from "../../../mod.ts";
import { escapeInvisible, escapeInvisibleJson, isObject } from "../../kit.ts";
import { expand } from "../config/env.ts";
import { ExitCode, usageError } from "../errors.ts";
import { type InspectedServer, type InspectInit, withConnection } from "./client.ts";
import type { Io } from "../io.ts";
import { JsonError, parseJson } from "../config/json.ts";
import { printable } from "../log.ts";
import { survey, surveyText } from "./survey.ts";

/** The options of `mooring inspect`. */
export interface InspectOptions {
  readonly call?: string;
  readonly args?: string;
  readonly header?: Readonly<Record<string, string>>;
  readonly tokenEnv?: string;
  /** In seconds. */
  readonly timeout: number;
  readonly json?: boolean;
  /** The name of one server of a file. */
  readonly server?: string;
  /** The values of a file's inputs, by their ids. */
  readonly input?: Readonly<Record<string, string>>;
}

/**
 * Inspects a server.
 *
 * @throws {CliError} If the server can't be reached, or an option can't be read
 */
export async function inspect(text: string, options: InspectOptions, io: Io): Promise<ExitCode> {
  const args = argsOf(options);
  const { call: tool, json = false, server, input: inputs } = options;
  const show = (
    target: Pick<InspectInit, "url" | "fetch" | "shown">,
    headers: Record<string, string> = {},
  ): Promise<ExitCode> => {
    const timeoutMs = options.timeout * 1_000;
    const init = { ...target, headers, timeoutMs, redact: io.secrets.redact };
    return withConnection(init, async (connection) => {
      if (tool !== undefined) return await showCall(connection, { tool, args, json, io });
      const found = await survey(connection);
      io.out.write(json ? `${jsonText(found)}\n` : surveyText(found));
      return ExitCode.Ok;
    });
  };
  const url = URL.parse(text);
  if (url !== null && /^https?:$/.test(url.protocol)) {
    if (server !== undefined) throw usageError("Give --server only with a file");
    if (inputs !== undefined) throw usageError("Give --input only with a file");
    io.secrets.add([url.password, ...url.searchParams.values()]);
    return await show({ url }, await headersFor(url, options, io));
  }
  if (!/\.(?:jsonc?|toml)$/i.test(text)) {
    throw usageError(
      'Give a URL that begins with "https://" or "http://", or a file that ends with .json or .toml',
    );
  }
  for (const [name, given] of [["--header", options.header], ["--token-env", options.tokenEnv]]) {
    if (given !== undefined) throw usageError(`Give ${name} only with a URL`);
  }
  const { withServersOf } = await import("./file.ts");
  return await withServersOf({ file: text, server, inputs, io }, (target) => show(target));
}

/** What {@linkcode showCall} calls, and how it shows the result. */
export interface CallInit {
  readonly tool: string;
  readonly args: JsonObject;
  readonly json: boolean;
  readonly io: Io;
}

/** Calls a tool, shows its progress and its result, and returns whether it failed. */
export async function showCall(
  connection: InspectedServer,
  { tool, args, json, io }: CallInit,
): Promise<ExitCode> {
  const { value: result, ms } = await connection.timed((options) =>
    connection.client.callTool({ name: tool, arguments: args }, {
      ...options,
      resetTimeoutOnProgress: true,
      onprogress({ progress, total, message }) {
        const of = total === undefined ? "" : ` of ${total}`;
        io.err.write(`${progress}${of}${message === undefined ? "" : `: ${printable(message)}`}\n`);
      },
    })
  );
  io.out.write(json ? `${jsonText({ result, ms })}\n` : resultText(result));
  if (!json) io.err.write(`${result.isError === true ? "Failed" : "Answered"} in ${ms} ms\n`);
  return result.isError === true ? ExitCode.Failed : ExitCode.Ok;
}

/** The part of a tool's result that is shown. */
interface CallResult {
  readonly content?: readonly { readonly type: string; readonly text?: unknown }[];
  readonly structuredContent?: unknown;
}

/** Writes a tool's result: texts as they are, everything else as JSON. */
function resultText({ content = [], structuredContent }: CallResult): string {
  const parts = content.map((block) =>
    typeof block.text === "string" ? escapeInvisible(block.text) : jsonText(block, 0)
  );
  if (parts.length === 0 && structuredContent !== undefined) {
    parts.push(jsonText(structuredContent));
  }
  return parts.map((part) => `${part}\n`).join("");
}

/** Writes JSON in which nothing can hide from the reader of a terminal. */
function jsonText(value: unknown, indent = 2): string {
  return escapeInvisibleJson(JSON.stringify(value, null, indent));
}

/**
 * Returns the headers to send to a URL: those of the options and, where these have no authorization, the
 * token of a login.
 *
 * @throws {CliError} If an option can't be read, or the login has ended
 */
export async function headersFor(
  url: URL,
  options: Pick<InspectOptions, "header" | "tokenEnv">,
  io: Io,
): Promise<Record<string, string>> {
  const headers = headersOf(options, io);
  if (Object.keys(headers).some((name) => name.toLowerCase() === "authorization")) return headers;
  const { tokenFor } = await import("../login/login.ts");
  const token = await tokenFor(url, io);
  return token === undefined ? headers : { ...headers, authorization: `Bearer ${token}` };
}

/** Returns the headers to send, their variables replaced. All of their values count as secrets. */
export function headersOf(
  { header, tokenEnv }: Pick<InspectOptions, "header" | "tokenEnv">,
  io: Io,
): Record<string, string> {
  const written = {
    ...header,
    ...tokenEnv !== undefined && { authorization: `Bearer \${${tokenEnv}}` },
  };
  const { value, secrets, problems } = expand(written, io.env);
  const [problem] = problems;
  if (problem !== undefined) {
    const flag = problem.path[0] === "authorization" ? "--token-env" : "--header";
    throw usageError(`${flag}: ${problem.message}`);
  }
  // Texts stay texts when they are expanded
  const headers = value as Record<string, string>;
  io.secrets.add([...secrets, ...Object.values(headers)]);
  return headers;
}

function argsOf({ call, args }: InspectOptions): JsonObject {
  if (args === undefined) return {};
  if (call === undefined) throw usageError("Give --args only with --call");
  return argumentsOf(args);
}

/**
 * Reads the arguments of a tool.
 *
 * @throws {CliError} If the text is no JSON object
 */
export function argumentsOf(args: string): JsonObject {
  const value = readArgs(args);
  if (!isObject(value)) {
    throw usageError('Give an object to --args, such as \'{"name": "value"}\'');
  }
  return value;
}

function readArgs(text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    const { line, column, message } = error;
    throw usageError(`Give JSON to --args: line ${line}, column ${column}: ${message}`);
  }
}
