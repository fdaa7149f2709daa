import assert from "node:assert/strict";
import { test } from "node:test";
import { accounts } from "../../src/accounts/mod.ts";
import { cached, http, lazy } from "../../src/gateway/mod.ts";
import { questionsOf, stateOf } from "../support/modern.ts";
import { textOf } from "../support/wire.ts";
import { callConnected, linkOf, World } from "./world.ts";

async function withWorld(
  options: ConstructorParameters<typeof World>[0],
  act: (world: World) => Promise<void>,
): Promise<void> {
  const world = new World(options);
  try {
    await act(world);
  } finally {
    await world.close();
  }
}

test("[UPA-1, UPA-6] a 2025-11-25 call asks for a sign-in by -32042, and runs after it", async () => {
  await withWorld({}, async (world) => {
    const peer = await world.peer("ada");
    const stream = await peer.listen();
    const listed = await peer.result(await peer.request(1, "tools/list"));
    const names = (listed.tools as { name: string }[]).map(({ name }) => name);
    assert.deepEqual(names, ["notes__connect_account"]);
    const { url, id } = await linkOf(peer, await peer.call(2, "notes__who"));
    assert.equal(new URL(url).origin, "https://gateway.example");
    // The same question is asked once, however often the client calls
    assert.equal((await linkOf(peer, await peer.call(3, "notes__who"))).url, url);
    const page = await world.browser("ada").connect(url);
    assert.equal(page.status, 200, await page.text());
    const told = [];
    while (told.length < 4) told.push(await stream.message());
    const complete = told.find((message) =>
      message?.method === "notifications/elicitation/complete"
    );
    assert.deepEqual(complete?.params, { elicitationId: id });
    assert.ok(told.some((message) => message?.method === "notifications/tools/list_changed"));
    const result = await peer.result(await peer.call(4, "notes__who"));
    assert.equal(textOf(result), "ada@notes");
    const after = await peer.result(await peer.request(5, "tools/list"));
    assert.deepEqual((after.tools as { name: string }[]).map(({ name }) => name), [
      "notes__who",
      "notes__write",
    ]);
    assert.deepEqual(world.reasons.slice(1), [
      "open passed opened",
      "start passed sent-to-server",
      "connect passed connected",
    ]);
    await stream.cancel();
  });
});

test("[UPA-7] a 2026-07-28 call asks by input_required, waits for the browser, and runs", async () => {
  await withWorld({}, async (world) => {
    const peer = world.modern("ada");
    const asked = await peer.say("notes__who");
    const { mooring_sign_in: question } = questionsOf(asked);
    assert.equal(question?.params.mode, "url");
    const retried = peer.say("notes__who", {}, {
      inputResponses: { mooring_sign_in: { action: "accept" } },
      requestState: stateOf(asked),
    });
    const page = await world.browser("ada").connect(String(question?.params.url));
    assert.equal(page.status, 200, await page.text());
    assert.equal(textOf(await retried), "ada@notes");
  });
});

test("[UPA-8] an older client gets a sentence with the link", async () => {
  await withWorld({}, async (world) => {
    const peer = await world.peer("ada", 0, {});
    const result = await peer.result(await peer.call(1, "notes__who"));
    assert.equal(result.isError, true);
    const [url = ""] = /https:\S+/.exec(String(textOf(result))) ?? [];
    await world.browser("ada").connect(url);
    assert.equal(textOf(await peer.result(await peer.call(2, "notes__who"))), "ada@notes");
  });
});

test("[UPA-9] a 403 asks for its scope, with those that the account has", async () => {
  await withWorld({}, async (world) => {
    const peer = await world.peer("ada");
    assert.equal(textOf(await callConnected(world, peer, "ada", "notes__who")), "ada@notes");
    const { url } = await linkOf(peer, await peer.call(5, "notes__write"));
    const browser = world.browser("ada");
    const at = await browser.begin(url);
    assert.deepEqual((at.searchParams.get("scope") ?? "").split(" ").sort(), ["read", "write"]);
    await browser.send(world.service.authorize(at, "ada"));
    assert.equal(textOf(await peer.result(await peer.call(6, "notes__write"))), "ada@notes wrote");
  });
});

test("[UPA-7, UPA-19] a policy, authorize, approval and rates count once for a call that waits for a sign-in", async () => {
  const policy = {
    upstreams: {
      notes: {
        tools: { allow: ["who"], approve: ["who"], rateLimit: { who: onceAtAll() } },
      },
    },
  };
  await withWorld({ gateway: { policy } }, async (world) => {
    const capabilities = { elicitation: { url: {}, form: {} } };
    const peer = world.modern("ada", 0, capabilities);
    const asked = await peer.say("notes__who");
    const { mooring_sign_in: question } = questionsOf(asked);
    assert.ok(question, JSON.stringify(asked));
    await world.browser("ada").connect(String(question.params.url));
    const inputResponses = { mooring_sign_in: { action: "accept" } };
    const requestState = stateOf(asked);
    const approving = await peer.say("notes__who", {}, { inputResponses, requestState });
    const [key = ""] = Object.keys(questionsOf(approving));
    const done = await peer.say("notes__who", {}, {
      inputResponses: { [key]: { action: "accept", content: { approve: true } } },
      requestState: stateOf(approving),
    });
    assert.equal(textOf(done), "ada@notes");
    // The state of the question counts once, so nobody gets round the rate by it
    const again = await peer.call("notes__who", {}, { inputResponses, requestState });
    assert.notEqual((await peer.error(again)).code, undefined);
    // What the policy withholds is unknown, signed in or not
    for (const user of ["ada", "bob"]) {
      const other = world.modern(user, 0, capabilities);
      const error = await other.answer(await other.call("notes__write"));
      assert.doesNotMatch(JSON.stringify(error.message), /accounts\/connect\?ask=.*write/);
    }
    assert.deepEqual(world.service.calls, ["ada@notes who"]);
  });
});

/** A limiter that lets one call pass. */
function onceAtAll() {
  let count = 0;
  return { check: () => ({ allowed: ++count <= 1 }) };
}

test("[UPA-10] whatever wraps an upstream asks for the sign-in too", () => {
  const front = accounts({
    url: "https://gateway.example",
    browser: () => undefined,
  });
  const url = "https://notes.example/mcp";
  const auth = front.auth();
  const own = http({ url, auth });
  const wrapped = {
    lazy: lazy(own),
    cached: cached(own, { resources: true }),
    shared: http({ url, auth, share: "user" }),
    all: lazy(cached(http({ url, auth, share: "user" }), { resources: true })),
  };
  assert.ok(own.signIn);
  for (const [name, { signIn }] of Object.entries(wrapped)) assert.ok(signIn, name);
  front.close();
});
