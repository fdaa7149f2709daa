/**
 * Questions of upstreams that clients answer with tasks (2025-11-25, Tasks).
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type ClientCapabilities, createMcpHandler } from "../../mod.ts";
import { gateway, type UpstreamCall } from "../../src/gateway/mod.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { initialize } from "../support/wire.ts";
import { FakeUpstream, text, textOf, tools } from "./core_support.ts";

const RELATED = "io.modelcontextprotocol/related-task";
const QUESTION = { message: "Sure?", requestedSchema: { type: "object", properties: {} } };
const ANSWER = { action: "accept", content: {} };
const TASKS = { cancel: {}, requests: { elicitation: { create: {} } } };
// The members that only some versions have aren't in the type
const CAPABLE = { elicitation: { form: {} }, tasks: TASKS } as ClientCapabilities;

/** What an upstream learns when it asks by a task, and then about the task. */
async function asking({ ask }: UpstreamCall): Promise<JsonObject> {
  const { task } = await ask("elicitation/create", { ...QUESTION, task: { ttl: 1000 } });
  if (!isObject(task)) return text("no task");
  const { taskId } = task;
  const state = await ask("tasks/get", { taskId });
  const result = await ask("tasks/result", { taskId });
  const error = await ask("tasks/get", { taskId: "client-1" }).catch(({ code }) => code);
  const isSame = state.taskId === taskId &&
    ((result._meta as JsonObject)[RELATED] as JsonObject).taskId === taskId;
  return text(JSON.stringify({ isOwn: taskId !== "client-1", isSame, ...result, error }));
}

function upstream(): FakeUpstream {
  return new FakeUpstream({ answers: tools({ ask: asking }) });
}

/** Calls the tool, as a client whose answers are tasks; returns the text of the result. */
async function calling(capabilities: ClientCapabilities, name = "a__ask") {
  const [a, b] = [upstream(), upstream()];
  const gw = gateway({ upstreams: { a, b } });
  const handler = createMcpHandler(gw);
  const peer = await initialize(handler.fetch, { capabilities });
  const asked: JsonObject[] = [];
  const frames = peer.frames(await peer.call(1, name));
  let said: unknown;
  for (let message = await frames.message(); message; message = await frames.message()) {
    if (isObject(message.result)) {
      said = textOf(message.result);
      continue;
    }
    asked.push(message);
    const { params, method } = message as { params: JsonObject; method: string };
    const task = {
      taskId: "client-1",
      status: "completed",
      createdAt: "",
      lastUpdatedAt: "",
      ttl: 1,
    };
    const answers: Record<string, JsonObject> = {
      "elicitation/create": params.task === undefined ? ANSWER : { task },
      "tasks/get": task,
      "tasks/result": { ...ANSWER, _meta: { [RELATED]: { taskId: "client-1" } } },
    };
    await peer.reply(message.id, answers[method] ?? {});
  }
  // What the client says of its task reaches only the upstream that it belongs to
  await peer.notify("notifications/tasks/status", { taskId: "client-1", status: "completed" });
  const told = [a, b].map(({ sessions }) => sessions.flatMap((session) => session.told));
  const known = a.session().opened.client.capabilities as JsonObject;
  await handler.close();
  await gw.close();
  return { said, asked, told, known };
}

describe("questions that clients answer with tasks", () => {
  test("[APP-13] pass on, with ids of the gateway's own for the upstream", async () => {
    const { said, asked, told, known } = await calling(CAPABLE);
    assert.deepEqual(known.tasks, TASKS);
    const { isOwn, isSame, action, error } = JSON.parse(String(said));
    assert.deepEqual({ isOwn, isSame, action, error }, {
      isOwn: true,
      isSame: true,
      action: "accept",
      error: -32602,
    });
    assert.deepEqual(asked.map(({ method }) => method), [
      "elicitation/create",
      "tasks/get",
      "tasks/result",
    ]);
    assert.equal((asked[1]?.params as JsonObject).taskId, "client-1");
    const [a = [], b = []] = told;
    const changed = a.filter(({ method }) => method === "notifications/tasks/status");
    assert.equal(changed.length, 1);
    assert.notEqual(changed[0]?.params?.taskId, "client-1");
    assert.deepEqual(b.filter(({ method }) => method === "notifications/tasks/status"), []);
  });

  test("[APP-13] of a client without them are ordinary questions", async () => {
    const { said, asked, known } = await calling({ elicitation: { form: {} } });
    assert.equal(known.tasks, undefined);
    assert.equal(said, "no task");
    assert.equal((asked[0]?.params as JsonObject).task, undefined);
  });
});
