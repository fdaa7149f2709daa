import assert from "node:assert/strict";
import * as fc from "fast-check";
import { gateway } from "../../src/gateway/mod.ts";
import { UpstreamError } from "../../src/gateway/shared/upstream_error.ts";
import { McpError } from "../../src/protocol/errors.ts";
import { property } from "../faults/runs.ts";
import { FakeClock, flush } from "../support/clock.ts";
import {
  ask,
  FakeUpstream,
  GatewayExchange,
  sessionOf,
  text,
  textOf,
  tools,
} from "./core_support.ts";

/** Something that happens to a gateway. */
type Step =
  | { readonly do: "call"; readonly client: number; readonly up: number; readonly fail: number }
  | { readonly do: "list" | "leave"; readonly client: number }
  | { readonly do: "set" | "remove" | "die"; readonly up: number }
  | { readonly do: "wait"; readonly ms: number };

const client = fc.nat(4);
const up = fc.nat(2);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant("call" as const), client, up, fail: fc.nat(9) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("list" as const, "leave"), client }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("set" as const, "remove", "die"), up }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("wait" as const),
      ms: fc.constantFrom(1, 5000, 10_000, 60_000),
    }),
  },
);

/** Clients 0 and 1 are sessions of one user, 2 is another's; 3 and 4 are of the 2026 era. */
function exchangeOf(method: string, params: Record<string, unknown>, client: number) {
  const principal = { id: client === 2 ? "bob" : "alice" };
  const modern = client > 2;
  return new GatewayExchange(method, params, {
    principal,
    ...modern ? { protocolVersion: "2026-07-28" as const } : { session: sessionOf(`s${client}`) },
  });
}

property(
  "[GTW-1, GTW-2, GTW-3, GTW-11] whatever happens, no session with an upstream is shared, and none is left",
  fc.record({ steps: fc.array(step, { maxLength: 60 }), pauses: fc.infiniteStream(fc.boolean()) }),
  { everyday: 60, long: 5000 },
  async ({ steps, pauses }) => {
    const clock = new FakeClock();
    const made: FakeUpstream[] = [];
    const make = () => {
      const upstream = new FakeUpstream({
        answers: tools({
          say: async ({ params }) => {
            const { client, fail } = params.arguments as { client: string; fail: number };
            await flush();
            if (fail === 0) throw new UpstreamError("closed");
            if (fail === 1) throw new McpError(-32603, "A tool's own");
            if (fail === 2) return await new Promise(() => {});
            return text(client);
          },
        }),
        opening: flush,
        closing: flush,
      });
      made.push(upstream);
      return upstream;
    };
    const gw = gateway({
      clock,
      upstreams: { u0: make(), u1: make() },
      stateless: "request",
    });
    const running: Promise<unknown>[] = [];
    let calls = 0;
    const run = (step: Step): Promise<unknown> => {
      switch (step.do) {
        case "call": {
          // A 2026 client is somebody else at each request.
          const who = step.client > 2 ? `request ${calls++}` : `session ${step.client}`;
          const args = { client: who, fail: step.fail };
          const params = { name: `u${step.up}__say`, arguments: args };
          const call = exchangeOf("tools/call", params, step.client);
          return ask(gw, call).then((result) => assert.equal(textOf(result), who));
        }
        case "list":
          return ask(gw, exchangeOf("tools/list", {}, step.client));
        case "leave":
          return Promise.resolve(gw.sessionEnded?.(`s${step.client}`, "deleted"));
        case "set":
          return gw.set(`u${step.up}`, make());
        case "remove":
          return gw.remove(`u${step.up}`);
        case "die": {
          const { downstream } = made[step.up]?.sessions.at(-1)?.opened ?? {};
          downstream?.ended(new UpstreamError("closed"));
          return Promise.resolve();
        }
        case "wait":
          return clock.advance(step.ms);
      }
    };
    for (const step of steps) {
      const done = run(step).catch((error) => {
        // What fails, fails as the client is told of failures.
        assert.ok(error instanceof McpError, String(error));
      });
      running.push(done);
      if (step.do === "wait" || pauses.next().value) await flush();
    }
    const closing = gw.close();
    await clock.advance(60_000);
    await closing;
    await Promise.all(running);
    for (const { sessions } of made) {
      for (const { calls, closed } of sessions) {
        const users = calls.flatMap(({ method, params }) =>
          method === "tools/call" ? [(params.arguments as { client: string }).client] : []
        );
        assert.ok(new Set(users).size <= 1, `Shared by ${users.join(", ")}`);
        assert.equal(closed, 1);
      }
    }
    // A session that opened while the gateway closed counts until it is closed, too.
    for (let turn = 0; turn < 3; turn++) await flush();
    const { sessions, programs, held } = gw.stats();
    assert.deepEqual([sessions, programs, held], [0, 0, 0]);
    assert.equal(clock.pending, 0);
  },
);
