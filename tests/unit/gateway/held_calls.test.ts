import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gateway } from "../../../src/gateway/mod.ts";
import { isObject, type JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { FakeUpstream, GatewayExchange, text, tools } from "../../gateway/core_support.ts";
import { FakeClock } from "../../support/clock.ts";
import { dispatch } from "../../../src/protocol/route.ts";

const QUESTION = { message: "Who?", requestedSchema: { type: "object", properties: {} } };
const ANSWER = { action: "accept", content: {} };

/** A request of a 2026 client whose states are only sealed when the test wants it. */
class SealedExchange extends GatewayExchange {
  readonly #sealed = Promise.withResolvers<void>();
  #asked = Promise.withResolvers<void>();

  constructor(params: JsonObject) {
    super("tools/call", { name: "up__ask", arguments: {}, ...params }, {
      protocolVersion: "2026-07-28",
      capabilities: { elicitation: { form: {} } },
    });
  }

  /** Until its state is to be sealed. */
  get sealing(): Promise<void> {
    return this.#asked.promise;
  }

  seal(): void {
    this.#sealed.resolve();
  }

  override async sealState(data: JsonObject): Promise<string> {
    this.#asked.resolve();
    await this.#sealed.promise;
    return await super.sealState(data);
  }
}

/** The tool asks once, and then for whatever the test asks for. */
function asking() {
  let more = (): Promise<unknown> => Promise.reject(new Error("It hasn't begun"));
  let finish = (): void => {};
  const upstream = new FakeUpstream({
    answers: tools({
      ask: async (call) => {
        const finished = new Promise<void>((resolve) => finish = resolve);
        more = () => call.ask("elicitation/create", QUESTION);
        await more();
        await finished;
        return text("done");
      },
    }),
  });
  const clock = new FakeClock();
  const limits = { held: 1, heldPerPrincipal: 1 };
  const gw = gateway({ upstreams: { up: upstream }, clock, limits, stateless: "request" });
  return { gw, clock, more: () => more(), finish: () => finish() };
}

function questionsOf(result: JsonObject): string[] {
  assert.equal(result.resultType, "input_required");
  assert.ok(isObject(result.inputRequests));
  return Object.keys(result.inputRequests);
}

/** Lets timers of no time, and what follows from them, run. */
async function turns(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

describe("calls that are held", () => {
  test("[GTW-8, GTW-10] a question that comes while a round is sealed goes with it", async () => {
    const { gw, clock, more, finish } = asking();
    const first = new SealedExchange({});
    const answered = dispatch(gw, first);
    await first.sealing;
    const second = more();
    await turns();
    first.seal();
    const result = await answered;
    const keys = questionsOf(result);
    assert.equal(keys.length, 2);
    assert.equal(gw.stats().held, 1);

    const { requestState } = result;
    const inputResponses = Object.fromEntries(keys.map((key) => [key, ANSWER]));
    const back = new SealedExchange({ requestState, inputResponses });
    const ended = dispatch(gw, back);
    await second;
    await turns();
    assert.equal(gw.stats().held, 0);
    // Its name is good once, and its time doesn't run any more.
    const again = new SealedExchange({ requestState, inputResponses });
    await assert.rejects(async () => await dispatch(gw, again), /Retry without requestState/);
    await clock.advance(300_000);
    finish();
    assert.deepEqual((await ended).content, text("done").content);
    await turns();
    assert.equal(clock.pending, 0);

    // There is room again for as many as there were.
    const next = new SealedExchange({});
    next.seal();
    questionsOf(await dispatch(gw, next));
    await gw.close();
  });

  test("[GTW-8, GTW-10] a question that comes as a round ends is asked in the next", async () => {
    const { gw, more, finish } = asking();
    const first = new SealedExchange({});
    const answered = dispatch(gw, first);
    await first.sealing;
    first.seal();
    const result = await answered;
    const [key] = questionsOf(result);
    assert.ok(key);
    const second = more();
    await turns();
    const { requestState } = result;
    const back = new SealedExchange({ requestState, inputResponses: { [key]: ANSWER } });
    back.seal();
    const asked = await dispatch(gw, back);
    const [next] = questionsOf(asked);
    assert.ok(next && next !== key);
    const last = new SealedExchange({
      requestState: asked.requestState,
      inputResponses: { [next]: ANSWER },
    });
    const ended = dispatch(gw, last);
    await second;
    finish();
    assert.deepEqual((await ended).content, text("done").content);
    assert.equal(gw.stats().held, 0);
    await gw.close();
  });
});
