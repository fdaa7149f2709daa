import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isObject, type JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { StopError } from "../../../src/calls/lifetime/stop.ts";
import { Rounds } from "../../../src/server/questions/rounds.ts";
import { flush } from "../../support/clock.ts";
import { FakeExchange } from "../../support/exchange.ts";

type Ask = (key: string, params?: JsonObject) => Promise<JsonObject>;

/** One run of a handler: what it came to, and what was required instead. */
interface Round {
  readonly exchange: FakeExchange;
  readonly value: unknown;
  readonly error: unknown;
  /** What is asked, and the state that goes with it; `undefined` when nothing is. */
  readonly asked: JsonObject | undefined;
  readonly requestState: string | undefined;
}

const METHOD = "elicitation/create";

async function run(
  handler: (ask: Ask) => Promise<unknown>,
  params: JsonObject = {},
  method = "tools/call",
): Promise<Round> {
  const exchange = new FakeExchange(method, params, { protocolVersion: "2026-07-28" });
  const rounds = new Rounds(exchange, (_exchange, result) => result);
  let value: unknown;
  let error: unknown;
  try {
    value = await handler((key, params = {}) => rounds.ask(key, METHOD, params));
  } catch (thrown) {
    error = thrown;
  }
  const [required] = exchange.required;
  assert.ok(exchange.required.length <= 1, "a run ends once");
  return {
    exchange,
    value,
    error,
    asked: isObject(required?.inputRequests) ? required.inputRequests : undefined,
    requestState: typeof required?.requestState === "string" ? required.requestState : undefined,
  };
}

/** The parameters of the call that answers a round. */
function reply({ requestState }: Round, inputResponses: unknown): JsonObject {
  return { requestState, inputResponses };
}

describe("Rounds", () => {
  test("[ASK-5] an unanswered question ends the run, with the question and a state", async () => {
    const round = await run((ask) => ask("name", { message: "Who?" }));
    assert.deepEqual(round.asked, { name: { method: METHOD, params: { message: "Who?" } } });
    assert.equal(typeof round.requestState, "string");
    assert.ok(round.error instanceof StopError);
    assert.equal(round.error.kind, "input-required");
  });

  test("[ASK-5] what is asked at once is asked together, a chain one after the other", async () => {
    const handler = (ask: Ask) =>
      Promise.all([
        ask("a"),
        ask("b"),
        Promise.resolve().then(() => ask("c")),
        ask("d").then(() => ask("e")),
      ]);
    const first = await run(handler);
    assert.deepEqual(Object.keys(first.asked ?? {}), ["a", "b", "d", "c"]);
    const answers = { a: { n: 1 }, b: { n: 2 }, c: { n: 3 }, d: { n: 4 } };
    const second = await run(handler, reply(first, answers));
    assert.deepEqual(Object.keys(second.asked ?? {}), ["e"]);
    const third = await run(handler, reply(second, { e: { n: 5 } }));
    assert.deepEqual(third.value, [1, 2, 3, 5].map((n) => ({ n })));
    assert.equal(third.asked, undefined);
  });

  test("[ASK-5] a question that takes the handler some time is asked in a round of its own", async () => {
    const handler = async (ask: Ask) => {
      const a = await ask("a");
      await new Promise((resolve) => setTimeout(resolve, 5));
      return [a, await ask("b")];
    };
    const first = await run(handler);
    const second = await run(handler, reply(first, { a: { n: 1 } }));
    assert.deepEqual(Object.keys(second.asked ?? {}), ["b"]);
    const third = await run(handler, reply(second, { b: { n: 2 } }));
    assert.deepEqual(third.value, [{ n: 1 }, { n: 2 }]);
  });

  test("[ASK-5] the same question under the same key is one question", async () => {
    const handler = async (ask: Ask) => [await ask("a", { x: 1 }), await ask("a", { x: 1 })];
    const first = await run(handler);
    assert.deepEqual(Object.keys(first.asked ?? {}), ["a"]);
    const second = await run(handler, reply(first, { a: { n: 1 } }));
    assert.deepEqual(second.value, [{ n: 1 }, { n: 1 }]);
  });

  test("[ASK-5] two questions under one key in one run are misuse", async () => {
    const round = await run(async (ask) => {
      ask("a", { x: 1 }).catch(() => {});
      await ask("a", { x: 2 });
    });
    assert.ok(round.error instanceof TypeError);
    assert.match(round.error.message, /Use a different key for each question of a call: "a"/);
  });

  test("[ASK-5] another question under an answered key is misuse that names the key", async () => {
    const first = await run((ask) => ask("a", { x: 1 }));
    const second = await run((ask) => ask("a", { x: 2 }), reply(first, { a: {} }));
    assert.ok(second.error instanceof TypeError);
    assert.match(second.error.message, /under the same key in every run: "a"/);
    assert.equal(second.asked, undefined);
  });

  test("[ASK-5] that holds for answers of every earlier round", async () => {
    const handler = (x: number) => async (ask: Ask) => [await ask("a", { x }), await ask("b")];
    const first = await run(handler(1));
    const second = await run(handler(1), reply(first, { a: {} }));
    const third = await run(handler(2), reply(second, { b: {} }));
    assert.ok(third.error instanceof TypeError, String(third.error));
  });

  for (const answer of [null, "yes", 1, true, ["yes"], undefined]) {
    test(`[ASK-5] ${JSON.stringify(answer)} is no answer: the question is asked again`, async () => {
      const first = await run((ask) => ask("a"));
      const second = await run((ask) => ask("a"), reply(first, { a: answer }));
      assert.deepEqual(second.asked, first.asked);
    });
  }

  for (const answers of [undefined, null, "a", [], { b: {} }, { A: {} }]) {
    test(`[ASK-5] answers like ${JSON.stringify(answers)} leave the question open`, async () => {
      const first = await run((ask) => ask("a"));
      const second = await run((ask) => ask("a"), reply(first, answers));
      assert.deepEqual(second.asked, first.asked);
    });
  }

  test("[ASK-5] what was not asked last is not taken for an answer", async () => {
    const handler = async (ask: Ask) => [await ask("a"), await ask("b")];
    const first = await run(handler);
    const second = await run(handler, reply(first, { a: { n: 1 }, b: { n: 666 } }));
    assert.deepEqual(Object.keys(second.asked ?? {}), ["b"]);
    const third = await run(handler, reply(second, { a: { n: 666 }, b: { n: 2 } }));
    assert.deepEqual(third.value, [{ n: 1 }, { n: 2 }]);
  });

  test("[ASK-5] a part of the answers is kept while the rest is asked again", async () => {
    const handler = (ask: Ask) => Promise.all([ask("a"), ask("b")]);
    const first = await run(handler);
    const second = await run(handler, reply(first, { b: { n: 2 } }));
    assert.deepEqual(Object.keys(second.asked ?? {}), ["a"]);
    const third = await run(handler, reply(second, { a: { n: 1 } }));
    assert.deepEqual(third.value, [{ n: 1 }, { n: 2 }]);
  });

  test("[ASK-5] keys that every object has are keys like any others", async () => {
    const keys = ["__proto__", "constructor", "toString"];
    const handler = (ask: Ask) => Promise.all(keys.map((key) => ask(key)));
    const first = await run(handler);
    assert.deepEqual(Object.keys(first.asked ?? {}), keys);
    const none = await run(handler, reply(first, {}));
    assert.deepEqual(Object.keys(none.asked ?? {}), keys);
    const answers = JSON.parse(`{${keys.map((key) => `"${key}":{"of":"${key}"}`).join()}}`);
    const second = await run(handler, reply(first, answers));
    assert.deepEqual(second.value, keys.map((key) => ({ of: key })));
  });

  test("[ASK-5] a handler that goes on regardless can ask no more, and waits for nothing", async () => {
    const round = await run(async (ask) => {
      await ask("a").catch(() => {});
      await ask("b");
    });
    assert.ok(round.error instanceof StopError);
    assert.deepEqual(Object.keys(round.asked ?? {}), ["a"]);
    assert.equal(round.exchange.required.length, 1);
  });

  test("[ASK-5] what a handler leaves open when it ends is not asked any more", async () => {
    const exchange = new FakeExchange("tools/call", {}, { protocolVersion: "2026-07-28" });
    const rounds = new Rounds(exchange, (_exchange, result) => result);
    const open = rounds.ask("a", METHOD, {});
    exchange.abort(new StopError("disconnected"));
    await assert.rejects(open, (error) => error instanceof StopError);
  });

  test("[ASK-5] a question that the handler doesn't wait for ends no process when it fails", async () => {
    const exchange = new FakeExchange("tools/call", {}, { protocolVersion: "2026-07-28" });
    const rounds = new Rounds(exchange, (_exchange, result) => result);
    void rounds.ask("a", METHOD, {});
    // An unhandled rejection would fail this file.
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(exchange.required.length, 1);
    await flush();
  });

  for (const method of ["prompts/get", "resources/read"]) {
    test(`[ASK-5] ${method} may ask`, async () => {
      const first = await run((ask) => ask("a"), {}, method);
      const second = await run((ask) => ask("a"), reply(first, { a: { n: 1 } }), method);
      assert.deepEqual(second.value, { n: 1 });
    });
  }

  for (const method of ["resources/list", "completion/complete", "tools/list"]) {
    test(`[ASK-5] ${method} may not, and says so to whoever asks there`, async () => {
      const round = await run((ask) => ask("a"), {}, method);
      assert.ok(round.error instanceof TypeError);
      assert.match(round.error.message, /tools, prompts and resources/);
      assert.equal(round.asked, undefined);
    });
  }

  test("[ASK-5] a state that can't be sealed fails the questions, not the process", async () => {
    const exchange = new FakeExchange("tools/call", {}, { protocolVersion: "2026-07-28" });
    exchange.sealState = () => Promise.reject(new Error("No key"));
    const rounds = new Rounds(exchange, (_exchange, result) => result);
    await assert.rejects(rounds.ask("a", METHOD, {}), /No key/);
    assert.deepEqual(exchange.required, []);
  });
});
