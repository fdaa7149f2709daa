/**
 * Whatever becomes of the messages between nodes, no tool runs twice, no answer is a wrong one, and
 * nothing is left over.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { isObject } from "../../src/protocol/jsonrpc.ts";
import { property } from "../faults/runs.ts";
import { alice, Cluster } from "../support/cluster.ts";
import { settle } from "../support/settle.ts";
import { isPending, soon, text, textOf } from "../support/wire.ts";

const FATES = ["arrives", "arrives", "arrives", "lost", "refused", "fails", "stuck"] as const;

const plan = fc.record({
  /** What becomes of the messages, in their order; those after them arrive. */
  fates: fc.array(fc.constantFrom(...FATES), { maxLength: 60 }),
  /** Whether each call goes to the node that holds the session, and takes a stream. */
  calls: fc.array(fc.record({ near: fc.boolean(), stream: fc.boolean() }), {
    minLength: 1,
    maxLength: 8,
  }),
});

property(
  "[CLU-5] no tool runs twice, whatever gets lost between nodes",
  plan,
  { everyday: 40, long: 4_000 },
  async ({ fates, calls }) => {
    const runs = new Map<number, number>();
    const cluster = new Cluster({
      pinned: true,
      tools: {
        count({ params }) {
          const { n } = isObject(params.arguments) ? params.arguments : {};
          runs.set(Number(n), (runs.get(Number(n)) ?? 0) + 1);
          return text(String(n));
        },
      },
    });
    const [a, b] = [cluster.add(), cluster.add()];
    const { here, there } = await alice(a, b);
    const left = [...fates];
    cluster.store.fate = () => left.shift() ?? "arrives";
    const responses = calls.map(({ near, stream }, n) => {
      const accept = stream ? "text/event-stream" : "application/json";
      return (near ? here : there).call(n, "count", { n }, { accept });
    });
    await settle();
    // Three tries, a wait for word that it arrived, and, once all is well, a look at what is open.
    for (let i = 0; i < 4; i++) await cluster.advance(250);
    await cluster.advance(10_000);
    cluster.store.fate = () => "arrives";
    await cluster.advance(10_000);
    for (const [n, response] of responses.entries()) {
      assert.equal(await isPending(response), false, `call ${n} is still waiting`);
      const { status } = await response;
      const ran = runs.get(n) ?? 0;
      assert.ok(ran <= 1, `call ${n} ran ${ran} times`);
      if (status === 503) assert.equal(ran, 0);
      else if (status === 200) {
        assert.equal(ran, 1);
        const body = await soon((await response).text());
        if (body.includes('"result"')) assert.match(body, new RegExp(`"text":"${n}"`));
      } else assert.equal(status, 504);
    }
    await settle();
    for (const { handler } of [a, b]) {
      const { requests, streams, questions } = handler.stats();
      assert.deepEqual({ requests, streams, questions }, {
        requests: 0,
        streams: 0,
        questions: 0,
      });
    }
    assert.equal(textOf(await there.result(await there.call(99, "hello"))), "Hello");
    await cluster.close();
  },
);
