/**
 * `mooring inspect`: shows what a server has, or calls one of its tools, with the official client.
 *
 * @module
 */
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import type { Given } from "./args.ts";
import { expand } from "./env.ts";
import { CliError, ExitCode } from "./errors.ts";
import { readHeaders } from "./flag_values.ts";
import type { Io } from "./io.ts";
import { jsonProblem } from "./json_source.ts";
import { type Connection, inspecting } from "./inspect_client.ts";
import { callText, surveyText } from "./inspect_text.ts";
import { survey } from "./survey.ts";

/** How long an answer may take unless said otherwise, in seconds. */
const TIMEOUT_S = 30;
/** The longest that may be said, in seconds. */
const MOST_S = 86_400;

/**
 * Inspects a server.
 *
 * @throws {CliError} If it can't be reached, or what was asked can't be understood
 */
export async function inspect(given: Given, io: Io): Promise<ExitCode> {
  const url = URL.parse(given.operand ?? "");
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw usage('Give a URL that begins with "https://" or "http://"');
  }
  io.secrets.add([url.password, ...url.searchParams.values()]);
  const headers = headersOf(given, io);
  const tool = given.text("call");
  const args = argsOf(given);
  const timeoutMs = (given.integer("timeout", 1, MOST_S) ?? TIMEOUT_S) * 1_000;
  const json = given.has("json");
  const { redact } = io.secrets;
  return await inspecting({ url, headers, timeoutMs, redact }, async (connection) => {
    if (tool !== undefined) return await call(connection, { tool, args, json, io });
    const found = await survey(connection);
    io.out.write(json ? `${JSON.stringify(found, null, 2)}\n` : surveyText(found));
    return ExitCode.Ok;
  });
}

interface CallInit {
  readonly tool: string;
  readonly args: JsonObject;
  readonly json: boolean;
  readonly io: Io;
}

async function call(connection: Connection, { tool, args, json, io }: CallInit): Promise<ExitCode> {
  const { value: result, ms } = await connection.timed((options) =>
    connection.client.callTool({ name: tool, arguments: args }, {
      ...options,
      resetTimeoutOnProgress: true,
      onprogress({ progress, total, message }) {
        const of = total === undefined ? "" : ` of ${total}`;
        io.err.write(`${progress}${of}${message === undefined ? "" : `: ${message}`}\n`);
      },
    })
  );
  io.out.write(json ? `${JSON.stringify({ result, ms }, null, 2)}\n` : callText(result));
  if (!json) io.err.write(`${result.isError === true ? "Failed" : "Answered"} in ${ms} ms\n`);
  return result.isError === true ? ExitCode.Failed : ExitCode.Ok;
}

function headersOf(given: Given, io: Io): Record<string, string> {
  const variable = given.text("token-env");
  const written = {
    ...readHeaders(given.texts("header")),
    ...variable !== undefined && { authorization: `Bearer \${${variable}}` },
  };
  const { value, secrets, problems } = expand(written, io.env);
  const [problem] = problems;
  if (problem !== undefined) {
    const flag = problem.path[0] === "authorization" ? "--token-env" : "--header";
    throw usage(`${flag}: ${problem.message}`);
  }
  // Expanding texts leaves texts
  const headers = value as Record<string, string>;
  io.secrets.add([...secrets, ...Object.values(headers)]);
  return headers;
}

function argsOf(given: Given): JsonObject {
  const text = given.text("args");
  if (text === undefined) return {};
  if (!given.has("call")) throw usage("Give --args only with --call");
  const broken = jsonProblem(text);
  if (broken !== undefined) {
    throw usage(
      `Give JSON to --args: line ${broken.line}, column ${broken.column}: ${broken.message}`,
    );
  }
  const value: unknown = JSON.parse(text);
  if (!isObject(value)) throw usage('Give an object to --args, such as \'{"name": "value"}\'');
  return value;
}

function usage(message: string): CliError {
  return new CliError(message, ExitCode.Usage);
}
