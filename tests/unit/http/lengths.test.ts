import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { assertPassed, pass, post } from "./support.ts";

const KIB = 1024;

/** A message with a text that something keeps, or sends to other nodes. */
interface Row {
  readonly most: number;
  readonly code: number;
  /** The id in the answer. */
  readonly id: number | null;
  readonly named: RegExp;
  readonly message: (text: string) => JsonObject;
}

const request = (method: string, params: JsonObject = {}): JsonObject => ({
  id: 7,
  method,
  params,
});

const rows: Readonly<Record<string, Row>> = {
  "the id of a request": {
    most: KIB,
    code: -32600,
    id: null,
    named: /"id"/,
    message: (id) => ({ id, method: "ping" }),
  },
  "the id of a response": {
    most: KIB,
    code: -32600,
    id: null,
    named: /"id"/,
    message: (id) => ({ id, result: {} }),
  },
  "the id of an error": {
    most: KIB,
    code: -32600,
    id: null,
    named: /"id"/,
    message: (id) => ({ id, error: { code: -1, message: "" } }),
  },
  "a method": {
    most: KIB,
    code: -32600,
    id: 7,
    named: /"method"/,
    message: (method) => request(method),
  },
  "the method of a notification": {
    most: KIB,
    code: -32600,
    id: null,
    named: /"method"/,
    message: (method) => ({ method }),
  },
  "a progress token": {
    most: KIB,
    code: -32602,
    id: 7,
    named: /"params\._meta\.progressToken"/,
    message: (progressToken) => request("tools/call", { name: "a", _meta: { progressToken } }),
  },
  "the token of a progress notification": {
    most: KIB,
    code: -32602,
    id: null,
    named: /"params\.progressToken"/,
    message: (progressToken) => ({
      method: "notifications/progress",
      params: { progressToken, progress: 1 },
    }),
  },
  "the id of a cancelled request": {
    most: KIB,
    code: -32602,
    id: null,
    named: /"params\.requestId"/,
    message: (requestId) => ({ method: "notifications/cancelled", params: { requestId } }),
  },
  "the reason of a cancellation": {
    most: KIB,
    code: -32602,
    id: null,
    named: /"params\.reason"/,
    message: (reason) => ({ method: "notifications/cancelled", params: { requestId: 1, reason } }),
  },
  "a subscribed URI": {
    most: 8 * KIB,
    code: -32602,
    id: 7,
    named: /"params\.uri"/,
    message: (uri) => request("resources/subscribe", { uri }),
  },
  "an unsubscribed URI": {
    most: 8 * KIB,
    code: -32602,
    id: 7,
    named: /"params\.uri"/,
    message: (uri) => request("resources/unsubscribe", { uri }),
  },
  "a URI of a filter": {
    most: 8 * KIB,
    code: -32602,
    id: 7,
    named: /"params\.notifications\.resourceSubscriptions"/,
    message: (uri) =>
      request("subscriptions/listen", { notifications: { resourceSubscriptions: ["a:b", uri] } }),
  },
  "the task id of tasks/get": {
    most: KIB,
    code: -32602,
    id: 7,
    named: /"params\.taskId"/,
    message: (taskId) => request("tasks/get", { taskId }),
  },
  "the task id of tasks/update": {
    most: KIB,
    code: -32602,
    id: 7,
    named: /"params\.taskId"/,
    message: (taskId) => request("tasks/update", { taskId }),
  },
  "the task id of tasks/cancel": {
    most: KIB,
    code: -32602,
    id: 7,
    named: /"params\.taskId"/,
    message: (taskId) => request("tasks/cancel", { taskId }),
  },
};

/** Texts of exactly so many bytes. */
const texts: Readonly<Record<string, (bytes: number) => string>> = {
  "ASCII": (bytes) => "x".repeat(bytes),
  "two bytes each": (bytes) => "é".repeat(Math.floor(bytes / 2)) + "x".repeat(bytes % 2),
  "four bytes each": (bytes) => "😀".repeat(Math.floor(bytes / 4)) + "x".repeat(bytes % 4),
};

function bodyOf(message: JsonObject): Request {
  return post(JSON.stringify({ jsonrpc: "2.0", ...message }));
}

describe("the lengths of what is kept", () => {
  for (const [what, { most, code, id, named, message }] of Object.entries(rows)) {
    test(`[STR-16] ${what} has at most ${most} bytes; one more → 400 / ${code}`, async () => {
      for (const [kind, textOf] of Object.entries(texts)) {
        assertPassed(await pass(bodyOf(message(textOf(most)))));
        const { response, events } = await pass(bodyOf(message(textOf(most + 1))));
        assert.equal(response?.status, 400, kind);
        const answer = await response.json();
        assert.deepEqual({ code: answer.error.code, id: answer.id }, { code, id });
        assert.match(answer.error.message, named);
        assert.match(answer.error.message, new RegExp(`${most}$`));
        assert.ok(answer.error.message.length < 200);
        assert.deepEqual(events.at(-1), { type: "refused", status: 400, reason: "length" });
      }
    });

    test(`[STR-16] ${what} in a batch refuses the batch`, async () => {
      const ping = { jsonrpc: "2.0", id: 1, method: "ping" };
      const batch = (bytes: number) =>
        post(JSON.stringify([ping, { jsonrpc: "2.0", ...message("x".repeat(bytes)) }]));
      assertPassed(await pass(batch(most)));
      const { response } = await pass(batch(most + 1));
      assert.equal(response?.status, 400);
      const answer = await response.json();
      assert.deepEqual({ code: answer.error.code, id: answer.id }, { code, id: null });
    });
  }

  test("[STR-16] anything else may be long, and of any shape", async () => {
    const long = "x".repeat(100 * KIB);
    const messages: JsonObject[] = [
      request("tools/call", { name: "a", arguments: { uri: long, taskId: long, reason: long } }),
      request("resources/read", { uri: long }),
      { id: 1, result: { reason: long, progressToken: long } },
      { method: "notifications/x", params: { reason: long } },
    ];
    for (const odd of [null, 1, [], {}, { length: 10_000 }, true]) {
      messages.push(
        request("ping", { _meta: odd, pad: long }),
        request("ping", { _meta: { progressToken: odd }, pad: long }),
        request("subscriptions/listen", { notifications: odd, pad: long }),
        request("subscriptions/listen", {
          notifications: { resourceSubscriptions: { 0: odd } },
          pad: long,
        }),
        { method: "notifications/cancelled", params: { requestId: odd, pad: long } },
      );
    }
    for (const message of messages) assertPassed(await pass(bodyOf(message)));
  });

  test("[STR-16] names like __proto__ are no methods of the table", async () => {
    for (const method of ["__proto__", "constructor", "toString"]) {
      assertPassed(await pass(bodyOf(request(method, { pad: "x".repeat(5_000) }))));
    }
  });
});
