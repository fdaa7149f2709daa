/**
 * What has to hold whatever goes wrong.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { McpHandler } from "../../src/handler/types.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { flush } from "../support/clock.ts";
import type { Fetch } from "../support/wire.ts";
import { SECRET } from "./faulty_store.ts";

/** Nothing runs, and nothing is kept. */
export const NOTHING = { sessions: 0, streams: 0, requests: 0, questions: 0, listens: 0 };

/** What shows the inside: stacks, paths, the names of errors and classes, what engines say. */
const INSIDE = new RegExp(
  [
    /\bat \S+ \(|\bat (async )?(file|node|ext):/,
    /\.[jt]s\b|file:\/\/|node_modules|\/(src|work|srv|home|usr)\//,
    /\b(Type|Range|Syntax|Reference|Eval|URI|Aggregate|Stop|Mcp)Error\b|StoreFailure|DOMException/,
    /undefined is not|Cannot (read|convert)|is not (a function|iterable|an object)|JSON\.parse/,
    /Unexpected (token|end)|\[object |SessionStore|LiveSession|Endpoint|Backplane|EventLog/,
    /rediss?:|hunter2|10\.0\.0\.7|ECONN/,
  ].map(({ source }) => source).join("|"),
);

/** Checks that a text shows nothing of the inside but what its reader has sent. */
export function assertNothingInside(text: string, sent = ""): void {
  assert.ok(!text.includes(SECRET), text);
  for (let rest = text;;) {
    const found = INSIDE.exec(rest);
    if (found === null) return;
    assert.ok(sent.includes(found[0]), `"${found[0]}" in ${text.slice(0, 2_000)}`);
    rest = rest.slice(found.index + found[0].length);
  }
}

/** Lets everything run that doesn't wait for the clock. */
export async function quiet(turns = 8): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await flush();
}

/** Waits, in real time, for what other threads have to do first, such as sealing a state. */
export async function until(so: () => boolean): Promise<void> {
  for (let ms = 0; ms < 200 && !so(); ms++) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    await flush();
  }
}

/** What a promise has come to once everything is quiet, or that it still waits. */
export async function outcomeOf<T>(
  promise: Promise<T>,
): Promise<{ readonly value: T } | { readonly error: unknown } | undefined> {
  let outcome: { readonly value: T } | { readonly error: unknown } | undefined;
  promise.then((value) => outcome = { value }, (error) => outcome = { error });
  for (let turn = 0; turn < 30 && outcome === undefined; turn++) await flush();
  return outcome;
}

/** Statuses that a client may see. 500 is for an `authenticate` that throws, 503 for what is away. */
export interface Allowed {
  readonly statuses?: readonly number[];
}

/** Checks every response of a handler on its way to a client. */
export function watched(handler: Fetch, { statuses = [] }: Allowed = {}): Fetch {
  return async (request) => {
    const sent = request.method === "POST" ? await request.clone().text().catch(() => "") : "";
    const response = await handler(request);
    await checkResponse(response, statuses, sent);
    return response;
  };
}

/** Checks one response, whose body stays to be read. */
export async function checkResponse(
  response: Response,
  statuses: readonly number[] = [],
  sent = "",
): Promise<void> {
  const { status, headers } = response;
  for (const [name, value] of headers) assertNothingInside(`${name}: ${value}`, sent);
  if (headers.get("content-type") === "text/event-stream") return;
  const body = await response.clone().text();
  assert.ok(status < 500 || statuses.includes(status), `${status} ${body}`);
  if (status === 500) assert.match(body, /"message":"Internal error"/);
  assertNothingInside(body, sent);
}

/** Checks that of all that came in answer to one request exactly one is its response. */
export function assertAnsweredOnce(messages: readonly JsonObject[], id: unknown): JsonObject {
  const answers = messages.filter((message) => !("method" in message));
  assert.equal(answers.length, 1, JSON.stringify(messages));
  const [answer] = answers;
  assert.ok(isObject(answer) && answer === messages.at(-1), "the answer comes last");
  assert.equal(answer.id, id);
  assert.equal(("result" in answer) !== ("error" in answer), true);
  return answer;
}

/** Checks that nothing is left of anything, once its sessions have ended. */
export async function assertEmpty(handler: McpHandler): Promise<void> {
  await quiet();
  assert.deepEqual(handler.stats(), NOTHING);
}
