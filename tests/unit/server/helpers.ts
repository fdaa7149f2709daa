/**
 * What the tests of a server share.
 *
 * @module
 */
import assert from "node:assert/strict";
import { McpError } from "../../../src/protocol/errors.ts";
import type { JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { McpServer, type McpServerOptions } from "../../../src/server/server.ts";
import { FakeExchange, type FakeExchangeInit } from "../../support/exchange.ts";
import { dispatch } from "../../../src/protocol/route.ts";

/** A server without anything. */
export function makeServer(options?: McpServerOptions): McpServer {
  return new McpServer({ name: "test", version: "1.0.0" }, options);
}

/** Answers one request. */
export async function request(
  server: McpServer,
  method: string,
  params: JsonObject = {},
  init?: FakeExchangeInit,
): Promise<JsonObject> {
  return await dispatch(server, new FakeExchange(method, params, init));
}

/** The text of a result that tells the model what went wrong. */
export function errorTextOf({ content, isError }: JsonObject): string {
  assert.equal(isError, true);
  assert.ok(Array.isArray(content) && content.length === 1);
  const [block] = content;
  assert.equal(block.type, "text");
  return block.text;
}

/** Runs something that must fail with an {@linkcode McpError}, which is returned. */
export async function rejectsWith(
  code: number,
  message: RegExp,
  run: () => unknown,
): Promise<McpError> {
  let thrown: unknown;
  try {
    await run();
  } catch (error) {
    thrown = error;
  }
  assert.ok(thrown instanceof McpError, `expected an McpError: ${thrown}`);
  assert.equal(thrown.code, code);
  assert.match(thrown.message, message);
  return thrown;
}
