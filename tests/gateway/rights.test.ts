import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gateway, local } from "../../src/gateway/mod.ts";
import type { McpHandler } from "../../src/handler/types.ts";
import type { Dispatcher } from "../../src/protocol/exchange.ts";
import { isObject } from "../../src/protocol/jsonrpc.ts";
import { CAPABLE, ModernPeer } from "../support/modern.ts";
import { as, Events, initialize, refused, textOf } from "../support/wire.ts";
import { Notes, Rights, withoutScopes } from "./rights_support.ts";

const CHALLENGE = 'Bearer error="insufficient_scope", scope="read write"';
const TASKS = { extensions: { "io.modelcontextprotocol/tasks": {} } };

/** Each way to a tool: what is served, and the tool's prefix there. */
const WAYS: readonly [string, (notes: Notes) => Dispatcher, string][] = [
  ["directly", (notes) => notes, ""],
  ["behind a gateway", (notes) => gateway({ upstreams: { n: local(notes) } }), "n__"],
  ["as the only upstream", (notes) => gateway({ upstreams: { n: local(notes) } }).only("n"), ""],
  [
    "behind two gateways",
    (notes) => gateway({ upstreams: { o: local(gateway({ upstreams: { n: local(notes) } })) } }),
    "o__n__",
  ],
  [
    "behind a gateway with sessions for principals",
    (notes) => gateway({ upstreams: { n: local(notes) }, stateless: "principal" }),
    "n__",
  ],
];

/** The code of a refusal in 2025, and in 2026, which has no codes of its own for one. */
const REFUSED = -32001;
const REFUSED_2026 = -32603;

async function forbidden(response: Response, id: number | string, code = REFUSED): Promise<void> {
  assert.equal(response.headers.get("www-authenticate"), CHALLENGE);
  await refused(response, 403, code, id);
}

describe("AUTH: a tool's scopes on every way to it", () => {
  for (const [way, make, prefix] of WAYS) {
    for (const early of [true, false]) {
      const asked = early ? "" : ", if nothing is known of them before";
      test(`[AUTH-6] a tool's scopes hold ${way}, in both eras${asked}`, async () => {
        const notes = new Notes();
        const rights = new Rights({ ann: ["read"], root: ["read", "write"] });
        const events = new Events();
        const made = make(notes);
        const handler = rights.serve(early ? made : withoutScopes(made), {
          onEvent: events.onEvent,
        });
        const write = `${prefix}write`;
        for (const who of ["ann", "root"]) {
          const peer = await initialize(handler, { headers: as(who) });
          const modern = new ModernPeer(handler, { headers: as(who) });
          assert.equal(textOf(await peer.result(await peer.call(1, `${prefix}read`))), "Read");
          const listed = await peer.result(await peer.request(2, "tools/list"));
          assert.ok(JSON.stringify(listed).includes(`"${write}"`));
          if (who === "root") {
            assert.equal(textOf(await peer.result(await peer.call(3, write))), "Written");
            assert.equal(textOf(await modern.say(write)), "Written");
            continue;
          }
          await forbidden(await peer.call("id", write), "id");
          const message = modern.message("tools/call", { name: write }, 7);
          await forbidden(await modern.post(message), 7, REFUSED_2026);
          assert.deepEqual(events.refusals, ["forbidden", "forbidden"]);
          // The session goes on, here and there
          assert.equal(textOf(await peer.result(await peer.call(4, `${prefix}read`))), "Read");
        }
        assert.deepEqual(notes.written, ["root", "root"]);
        assert.deepEqual(events.of("error"), []);
        assert.deepEqual(events.of("upstream-failed"), []);
        assert.equal(handler.stats().requests, 0);
        await handler.close();
      });
    }
  }

  test("[AUTH-6] a client that reads streams only gets the same challenge", async () => {
    const notes = new Notes();
    const rights = new Rights({ ann: ["read"] });
    const handler = rights.serve(withoutScopes(gateway({ upstreams: { n: local(notes) } })));
    const peer = await initialize(handler, { headers: as("ann"), accept: "text/event-stream" });
    await forbidden(await peer.call(1, "n__write"), 1);
    await handler.close();
  });

  test("[AUTH-6] as a task: 403, and there is no task", async () => {
    const notes = new Notes();
    const rights = new Rights({ ann: ["read"], root: ["read", "write"] });
    for (const dispatcher of [notes, withoutScopes(notes)]) {
      const handler = rights.serve(dispatcher);
      const modern = new ModernPeer(handler, { headers: as("ann"), capabilities: TASKS });
      const message = modern.message("tools/call", { name: "write" }, 1);
      await forbidden(await modern.post(message), 1, REFUSED_2026);
      const root = modern.with({ headers: as("root") });
      const begun = await root.post(root.message("tools/call", { name: "write" }));
      assert.ok((await begun.text()).includes('"resultType":"task"'));
      await handler.close();
    }
    assert.ok(!notes.written.includes("ann"));
  });

  test("[AUTH-6] a batch behind a gateway is refused before anything of it runs", async () => {
    const notes = new Notes();
    const rights = new Rights({ ann: ["read"] });
    const gw = gateway({ upstreams: { n: local(notes) } });
    const calls = ["n__read", "n__write"].map((name, id) => {
      return { jsonrpc: "2.0", id, method: "tools/call", params: { name } };
    });
    const handler = rights.serve(gw);
    const peer = await initialize(handler, { headers: as("ann"), version: "2025-03-26" });
    const response = await peer.post(calls);
    assert.equal(response.headers.get("www-authenticate"), CHALLENGE);
    await refused(response, 403, REFUSED);
    await handler.close();
    // Where nothing is known of the scopes before, each call is answered for itself
    const later = rights.serve(withoutScopes(gateway({ upstreams: { n: local(notes) } })));
    const other = await initialize(later, { headers: as("ann"), version: "2025-03-26" });
    const answers: unknown = await (await other.post(calls)).json();
    assert.ok(Array.isArray(answers));
    const errors = answers.map(({ error }) => isObject(error) ? error.code : undefined);
    assert.deepEqual(errors.toSorted(), [REFUSED, undefined]);
    assert.deepEqual(notes.written, []);
    await later.close();
  });

  test("[AUTH-6, AUTH-7] a call that waits for its user is refused to who lost the scope meanwhile", async () => {
    const rights = new Rights({ ann: ["read", "write"] });
    const notes = new Notes();
    const direct: [McpHandler, string] = [rights.serve(notes), "ask"];
    const behind: [McpHandler, string] = [
      rights.serve(gateway({ upstreams: { n: local(notes) } })),
      "n__ask",
    ];
    for (const [handler, name] of [direct, behind]) {
      rights.give("ann", "read", "write");
      const modern = new ModernPeer(handler, { headers: as("ann"), capabilities: CAPABLE });
      const asked = await modern.post(modern.message("tools/call", { name, arguments: {} }));
      const { result } = await asked.json();
      assert.equal(result.resultType, "input_required");
      const inputResponses = Object.fromEntries(
        Object.keys(result.inputRequests).map((key) => [key, { action: "accept", content: {} }]),
      );
      const { requestState } = result;
      const retry = () =>
        modern.post(
          modern.message("tools/call", { name, arguments: {}, inputResponses, requestState }, 9),
        );
      rights.give("ann", "read");
      const response = await retry();
      assert.equal(
        response.headers.get("www-authenticate"),
        'Bearer error="insufficient_scope", scope="write read"',
      );
      await refused(response, 403, REFUSED_2026, 9);
      assert.deepEqual(notes.written, []);
      rights.give("ann", "read", "write");
      const answer = await (await retry()).json();
      assert.equal(textOf(answer.result), "Written");
      assert.deepEqual(notes.written.splice(0), ["ann accept"]);
      await handler.close();
    }
  });

  test("[AUTH-5, AUTH-7] a call that waits for its user is unknown to who must not know its tool any more", async () => {
    let isHidden = false;
    const rights = new Rights({ ann: ["read", "write"] });
    const notes = new Notes();
    const ways: [Dispatcher, string][] = [
      [notes, "ask"],
      [gateway({ upstreams: { n: local(notes) } }), "n__ask"],
    ];
    for (const [dispatcher, name] of ways) {
      isHidden = false;
      const handler = rights.serve(dispatcher, {
        authorize: (_, { method, params }) =>
          !isHidden || method !== "tools/call" || params.name !== name,
      });
      const modern = new ModernPeer(handler, { headers: as("ann"), capabilities: CAPABLE });
      const asked = await modern.post(modern.message("tools/call", { name, arguments: {} }));
      const { result } = await asked.json();
      const inputResponses = Object.fromEntries(
        Object.keys(result.inputRequests).map((key) => [key, { action: "accept", content: {} }]),
      );
      const { requestState } = result;
      const retry = async () => {
        const params = { name, arguments: {}, inputResponses, requestState };
        return await (await modern.post(modern.message("tools/call", params, 9))).json();
      };
      isHidden = true;
      const { error } = await retry();
      assert.deepEqual(error, { code: -32602, message: `Unknown tool: "${name}"` });
      assert.deepEqual(notes.written, []);
      isHidden = false;
      assert.equal(textOf((await retry()).result), "Written");
      assert.deepEqual(notes.written.splice(0), ["ann accept"]);
      await handler.close();
    }
  });
});
