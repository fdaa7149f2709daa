import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DelayLine } from "../../../src/internal/delay_line.ts";
import { OpenQuestions } from "../../../src/calls/questions/questions.ts";
import { FakeClock } from "../../support/clock.ts";

function make() {
  const clock = new FakeClock();
  const expired: string[] = [];
  const questions = new OpenQuestions(new DelayLine(clock, 300_000));
  return { clock, expired, questions, open: () => questions.open((id) => expired.push(id)) };
}

describe("Questions", () => {
  test("[ASK-1] a response settles its question once", async () => {
    const { questions, open } = make();
    const { id, response } = open();
    assert.ok(questions.settle({ jsonrpc: "2.0", id, result: { action: "accept" } }));
    assert.ok(!questions.settle({ jsonrpc: "2.0", id, result: { action: "decline" } }));
    assert.deepEqual(await response, { action: "accept" });
    assert.equal(questions.size, 0);
  });

  test("[ASK-1] ids can't be guessed and never repeat", () => {
    const { open } = make();
    const ids = Array.from({ length: 100 }, () => {
      const { id, response } = open();
      response.catch(() => {});
      return id;
    });
    assert.equal(new Set(ids).size, 100);
    for (const id of ids) assert.match(id, /^q-[\w-]{22}$/);
  });

  test("[ASK-1] a response with an unknown or numeric id settles nothing", () => {
    const { questions, open } = make();
    open().response.catch(() => {});
    assert.ok(!questions.settle({ jsonrpc: "2.0", id: 1, result: {} }));
    assert.ok(!questions.settle({ jsonrpc: "2.0", id: "q-nobody", result: {} }));
    assert.equal(questions.size, 1);
  });

  test("[ASK-1] an error response rejects with its code, message and data", async () => {
    const { questions, open } = make();
    const { id, response } = open();
    questions.settle({ jsonrpc: "2.0", id, error: { code: -1, message: "No", data: { why: 1 } } });
    await assert.rejects(response, { name: "McpError", code: -1, message: "No", data: { why: 1 } });
  });

  test("[ASK-3] a question without a response is given up when its time is over", async () => {
    const { clock, expired, questions, open } = make();
    const { id, response } = open();
    const rejected = assert.rejects(response, { name: "McpError", code: -32001 });
    await clock.advance(299_999);
    assert.equal(questions.size, 1);
    await clock.advance(1);
    await rejected;
    assert.deepEqual(expired, [id]);
    assert.equal(questions.size, 0);
  });

  test("[ASK-3] aborting rejects with the reason and leaves nothing behind", async () => {
    const { questions, open } = make();
    const responses = [open().response, open().response];
    questions.abortAll(new Error("over"));
    for (const response of responses) await assert.rejects(response, { message: "over" });
    assert.equal(questions.size, 0);
  });

  test("[ASK-1] there is a bound on open questions", () => {
    const { open } = make();
    for (let i = 0; i < 100; i++) open().response.catch(() => {});
    assert.throws(open, { name: "McpError", message: "Ask at most 100 questions at a time" });
  });
});
