/**
 * Writes a message as a command line, or as a test.
 *
 * @module
 */
import type { JsonObject } from "../../../mod.ts";
import { isObject } from "../../kit.ts";
import { type KeptEntry, MAX_TEXT } from "./trace.ts";

/** Whether a message can be sent again: it is a client's, and was kept as a whole. */
export function isRepeatable({ way, size, url, kind }: KeptEntry): boolean {
  return way === "in" && size <= MAX_TEXT && url !== undefined && kind !== "other";
}

/**
 * Writes a message as a command line of curl.
 *
 * @param secrets Whether tokens and the session's id are written; otherwise, variables stand for them
 */
export function curlOf({ url = "", text, headers = {} }: KeptEntry, secrets: boolean): string {
  const lines = [
    `curl -sS ${shell(url)}`,
    "-H 'content-type: application/json'",
    "-H 'accept: application/json, text/event-stream'",
    ...Object.entries(headers).map(([name, value]) => {
      if (secrets) return `-H ${shell(`${name}: ${value}`)}`;
      if (name === "authorization") {
        const [scheme = ""] = value.includes(" ") ? value.split(" ") : [];
        return `-H "${name}: ${/^[A-Za-z]+$/.test(scheme) ? `${scheme} ` : ""}$MCP_TOKEN"`;
      }
      if (name === "mcp-session-id") return `-H "${name}: $MCP_SESSION_ID"`;
      return `-H ${shell(`${name}: ${value}`)}`;
    }),
    `-d ${shell(text)}`,
  ];
  return lines.join(" \\\n  ");
}

/** The protocol version that a test speaks if the message doesn't say it. */
const VERSION = "2025-11-25";

/**
 * Writes a request as a test with `@mooring/mcp/testing`, which expects the answer that it got.
 *
 * @param secrets Whether a token is written; otherwise, it is read from a variable
 * @returns `undefined` for what is no request
 */
export function testOf(
  { url = "", text, method, name, headers = {}, version }: KeptEntry,
  answer: KeptEntry | undefined,
  secrets: boolean,
): string | undefined {
  const message: unknown = parse(text);
  if (!isObject(message) || method === undefined || message["id"] === undefined) return undefined;
  const { authorization } = headers;
  const params = withoutEnvelope(message["params"]);
  const protocolVersion = headers["mcp-protocol-version"] ?? version ?? VERSION;
  const token = authorization === undefined
    ? []
    : secrets
    ? [`    headers: { authorization: ${JSON.stringify(authorization)} },`]
    : [
      `    headers: { authorization: \`${
        authorization.replace(/[^ ]+$/, "").replace(/[`\\$]/g, "")
      }\${process.env.MCP_TOKEN}\` },`,
    ];
  const usesProcess = token.length > 0 && !secrets;
  const received: unknown = answer === undefined || answer.size > MAX_TEXT
    ? undefined
    : parse(answer.text);
  const request = `client.request(${JSON.stringify(method)}${
    params === undefined ? "" : `, ${indented(params)}`
  })`;
  const expected = expectation(received, request);
  const title = JSON.stringify([method, name].filter((each) => each !== undefined).join(" "));
  return [
    'import assert from "node:assert/strict";',
    ...usesProcess ? ['import process from "node:process";'] : [],
    'import { test } from "node:test";',
    'import { connect } from "@mooring/mcp/testing";',
    "",
    `test(${title}, async () => {`,
    "  await using client = await connect((request) => fetch(request), {",
    `    url: ${JSON.stringify(url)},`,
    `    protocolVersion: ${JSON.stringify(protocolVersion)},`,
    ...token,
    "  });",
    ...expected,
    "});",
    "",
  ].join("\n");
}

/** Returns the lines that compare the answer with the one that was received. */
function expectation(received: unknown, request: string): string[] {
  if (isObject(received) && isObject(received["error"])) {
    const { code } = received["error"];
    return [`  await assert.rejects(${request}, { code: ${JSON.stringify(code)} });`];
  }
  if (!isObject(received) || received["result"] === undefined) {
    return [`  const result = await ${request};`, "  assert.ok(result);"];
  }
  const { result } = received;
  return [
    `  const result = await ${request};`,
    `  assert.deepEqual(result, ${indented(isObject(result) ? withoutType(result) : result)});`,
  ];
}

/** Removes what the client reads itself: how a result of 2026-07-28 is to be taken. */
function withoutType({ resultType, ...result }: JsonObject): JsonObject {
  return resultType === undefined || resultType === "complete" ? result : { resultType, ...result };
}

/** Removes what the client writes itself: the envelope of 2026-07-28, and the token of progress. */
function withoutEnvelope(params: unknown): unknown {
  if (!isObject(params) || !isObject(params["_meta"])) return params;
  const { _meta, ...rest } = params;
  const own = Object.entries(params["_meta"]).filter(([key]) =>
    key !== "progressToken" && !key.startsWith("io.modelcontextprotocol/")
  );
  const left = own.length === 0 ? rest : { ...rest, _meta: Object.fromEntries(own) };
  return left;
}

function indented(value: unknown): string {
  return JSON.stringify(value, null, 2).replaceAll("\n", "\n  ");
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Quotes a text for a shell. */
function shell(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
