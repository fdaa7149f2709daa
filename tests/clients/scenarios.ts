/**
 * What every real client must be able to do.
 *
 * @module
 */
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import type { ClientInit, ClientKind, Connected } from "./client.ts";
import { type Proxy, proxyTo } from "./proxy.ts";

/** What a scenario works with. */
export interface World {
  readonly kind: ClientKind;
  /** The fixture server. */
  readonly url: string;
  /** A server that wants a token: `demo-token-of-ada` or `demo-token-of-ben`. */
  readonly guardedUrl: string;
  /** The fixture server as a program that speaks on its pipes, to start instead of the URL. */
  readonly command?: readonly [string, ...string[]];
}

/** One thing that a client does. */
export interface Scenario {
  readonly name: string;
  /** Whether it is about sessions and resumption, which 2026-07-28 doesn't have. */
  readonly sessions?: boolean;
  /** Whether it is about tokens, which only HTTP has. */
  readonly tokens?: boolean;
  /** How long it may take, in milliseconds. */
  readonly limitMs?: number;
  readonly run: (world: World) => Promise<void>;
}

const WATCHED = "test://watched-resource";
const UPDATED = "notifications/resources/updated";
const LOGGED = "notifications/message";

/** Waits until something is so. */
async function until(so: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (await so()) return;
    await pause(20);
  }
  throw new Error(`Waited in vain: ${what}`);
}

/** Connects, works, closes. */
async function connected(
  { kind, url, command }: World,
  work: (client: Connected) => Promise<void>,
  init: Partial<ClientInit> = {},
): Promise<void> {
  const client = await kind.connect({ url, ...command && { command }, ...init });
  try {
    await work(client);
  } finally {
    await client.close();
  }
}

/** The same over a line that can be cut. */
async function proxied(
  world: World,
  work: (client: Connected, proxy: Proxy) => Promise<void>,
): Promise<void> {
  const proxy = await proxyTo(world.url);
  try {
    await connected({ ...world, url: proxy.url }, (client) => work(client, proxy));
  } finally {
    await proxy.close();
  }
}

/** Notes the verb and the status of every request. */
function watchedFetch(seen: string[]): typeof fetch {
  return async (input, init) => {
    const response = await fetch(input, init);
    seen.push(`${init?.method ?? "GET"} ${response.status}`);
    return response;
  };
}

const updates = ({ told }: Connected): number =>
  told.filter(({ method, params }) => method === UPDATED && params?.uri === WATCHED).length;

/** Sent once a client has its stream of the server's own messages open. */
async function listening(client: Connected): Promise<void> {
  await client.subscribe(WATCHED);
  await until(async () => {
    await client.call("touch_watched_resource");
    await pause(100);
    return updates(client) > 0;
  }, "the first update");
  await pause(400);
}

/** Waits until the tool that was called under a name has stopped. */
async function stopped(client: Connected, name: string): Promise<void> {
  const so = async () => (await client.call("was_cancelled", { name })).text === "cancelled";
  await until(so, "the tool to stop");
}

/** All scenarios. */
export const SCENARIOS: readonly Scenario[] = [
  {
    name: "[ERA-1, SES-1] connects, agrees on 2025-11-25 and gets a session",
    sessions: true,
    run: (world) =>
      connected(world, async (client) => {
        assert.equal(client.protocolVersion, "2025-11-25");
        assert.equal(client.serverName, "everything");
        assert.match(client.sessionId ?? "", /^[!-~]{32,}$/);
        await client.ping();
        assert.deepEqual(client.errors, []);
      }),
  },
  {
    name: "[SRV-1] lists tools, resources, templates and prompts",
    run: (world) =>
      connected(world, async (client) => {
        const [tools, resources, templates, prompts] = await Promise.all([
          client.tools(),
          client.resources(),
          client.templates(),
          client.prompts(),
        ]);
        assert.equal(tools[0], "test_simple_text");
        assert.ok(tools.includes("json_schema_2020_12_tool"));
        assert.equal(resources[0], "test://static-text");
        assert.deepEqual(templates, ["test://template/{id}/data"]);
        assert.ok(prompts.includes("test_prompt_with_arguments"));
      }),
  },
  {
    name: "[SRV-1] reads, prompts and completes",
    run: (world) =>
      connected(world, async (client) => {
        const text = await client.read("test://static-text");
        assert.equal(text, "This is the content of the static text resource.");
        assert.equal(JSON.parse(await client.read("test://template/7/data")).id, "7");
        const prompt = await client.prompt("test_prompt_with_arguments", { arg1: "a", arg2: "b" });
        assert.equal(prompt, "Prompt with arguments: arg1='a', arg2='b'");
        const values = await client.complete("test_prompt_with_arguments", "arg1", "par");
        assert.ok(values.length > 0 && values.every((value) => value.startsWith("par")));
      }),
  },
  {
    name: "[SRV-2] calls tools, and sees their errors",
    run: (world) =>
      connected(world, async (client) => {
        const { text } = await client.call("test_simple_text");
        assert.equal(text, "This is a simple text response for testing.");
        const failed = await client.call("test_error_handling", {});
        assert.equal(failed.isError, true);
        await assert.rejects(client.call("no_such_tool", {}), /no_such_tool/);
      }),
  },
  {
    name: "[STR-5] gets the right answer to each of 30 calls at once",
    run: (world) =>
      connected(world, async (client) => {
        const steps = Array.from({ length: 30 }, (_, at) => at % 4);
        const said = await Promise.all(
          steps.map((to) => client.call("count", { to, ms: 10 }, { onProgress: () => {} })),
        );
        assert.deepEqual(said.map(({ text }) => text), steps.map((to) => `Counted to ${to}`));
      }),
  },
  {
    name: "[CAN-5] sees progress",
    run: (world) =>
      connected(world, async (client) => {
        const seen: unknown[] = [];
        await client.call("test_tool_with_progress", {}, {
          onProgress: (progress, total) => seen.push([progress, total]),
        });
        assert.deepEqual(seen, [[0, 100], [50, 100], [100, 100]]);
      }),
  },
  {
    name: "[SRV-6] gets the log messages of the level that it asked for",
    run: (world) =>
      connected(world, async (client) => {
        const logged = () => client.told.filter(({ method }) => method === LOGGED).length;
        await client.logFrom("error");
        await client.call("test_tool_with_logging");
        assert.equal(logged(), 0);
        await client.logFrom("info");
        await client.call("test_tool_with_logging");
        assert.equal(logged(), 3);
      }),
  },
  {
    name: "[ASK-1] answers a form, a question to its model, and what its roots are",
    run: (world) =>
      connected(world, async (client) => {
        const form = await client.call("test_elicitation", { message: "Who are you?" });
        assert.match(form.text, /ada@example\.com/);
        const model = await client.call("test_sampling", { prompt: "6 × 7?" });
        assert.equal(model.text, "LLM response: Forty-two");
        assert.match((await client.call("list_roots")).text, /file:\/\/\/home\/ada/);
      }),
  },
  {
    name: "[SRV-5, STR-13] hears of a resource while it is subscribed, in bursts once",
    run: (world) =>
      connected(world, async (client) => {
        await listening(client);
        const before = updates(client);
        await client.call("touch_watched_resource", { times: 5 });
        await until(() => updates(client) > before, "an update");
        await pause(400);
        assert.equal(updates(client), before + 1);
        await client.unsubscribe(WATCHED);
        await client.call("touch_watched_resource");
        await pause(400);
        assert.equal(updates(client), before + 1);
      }),
  },
  {
    name: "[STR-9] comes back to a stream that the server closed",
    sessions: true,
    run: (world) =>
      connected(world, async (client) => {
        const { text } = await client.call("test_reconnection");
        assert.match(text, /reconnect/i);
      }),
  },
  {
    name: "[STR-6] gets the rest of a call whose connection was cut, each message once",
    sessions: true,
    run: (world) =>
      proxied(world, async (client, proxy) => {
        const seen: number[] = [];
        const said = await client.call("count", { to: 25, ms: 100 }, {
          onProgress(progress) {
            seen.push(progress);
            // The second time it has come back to a stream that it had come back to.
            if (progress === 2 || progress === 15) proxy.cut();
          },
        });
        assert.equal(said.text, "Counted to 25");
        assert.deepEqual(seen, Array.from({ length: 25 }, (_, at) => at + 1));
      }),
  },
  {
    name: "[STR-6] gets what the server said while the line was cut",
    sessions: true,
    run: (world) =>
      proxied(world, async (client, proxy) => {
        await listening(client);
        const before = updates(client);
        proxy.cut();
        await client.call("touch_watched_resource");
        await until(() => updates(client) > before, "the missed update");
        await pause(400);
        assert.equal(updates(client), before + 1);
      }),
  },
  {
    name: "[ASK-1] answers a question that it got after its connection was cut",
    sessions: true,
    run: (world) =>
      proxied(world, async (client, proxy) => {
        const said = await client.call("ask_later", { ms: 300 }, { onProgress: () => proxy.cut() });
        assert.match(said.text, /ada@example\.com/);
      }),
  },
  {
    name: "[STR-4] sees the error of a call that had begun to stream",
    async run(world) {
      const seen: string[] = [];
      await connected(world, async (client) => {
        const call = client.call("fail_after_progress", {}, { onProgress: () => {} });
        await assert.rejects(call, /Nothing is left to do/);
        const { text } = await client.call("test_simple_text");
        assert.match(text, /simple text/);
      }, { fetch: watchedFetch(seen) });
      assert.deepEqual(seen.filter((one) => !/ 20[0-4]$/.test(one)), []);
    },
  },
  {
    name: "[CAN-2, CAN-3] cancels a call, and the tool stops",
    run: (world) =>
      connected(world, async (client) => {
        const name = crypto.randomUUID();
        const abort = new AbortController();
        const call = client.call("wait_for_cancel", { name }, {
          signal: abort.signal,
          onProgress: () => abort.abort(new Error("Changed my mind")),
        });
        await assert.rejects(call, /Changed my mind|abort/i);
        await stopped(client, name);
      }),
  },
  {
    name: "[CAN-2] gives up a call after its own time limit, and the tool stops",
    run: (world) =>
      connected(world, async (client) => {
        const name = crypto.randomUUID();
        const call = client.call("wait_for_cancel", { name }, { timeoutMs: 300 });
        await assert.rejects(call, /timed out/i);
        await stopped(client, name);
      }),
  },
  {
    name: "[SES-6] ends its session, and the tools in it stop",
    sessions: true,
    async run(world) {
      const seen: string[] = [];
      await connected(world, async (client) => {
        const name = crypto.randomUUID();
        const call = client.call("wait_for_cancel", { name }, { onProgress: () => {} });
        call.catch(() => {});
        await pause(200);
        await client.terminate();
        assert.equal(client.sessionId, undefined);
        assert.equal(seen.at(-1), "DELETE 204");
        await connected(world, (other) => stopped(other, name));
      }, { fetch: watchedFetch(seen) });
    },
  },
  {
    name: "[SES-3] learns that its session is gone, and begins another",
    sessions: true,
    async run(world) {
      await connected(world, async (client) => {
        const { sessionId = "" } = client;
        const headers = { "mcp-session-id": sessionId };
        const ended = await fetch(world.url, { method: "DELETE", headers });
        assert.equal(ended.status, 204);
        await assert.rejects(client.call("test_simple_text"), /Session not found/);
        await connected(world, async (again) => {
          assert.notEqual(again.sessionId, sessionId);
          assert.match((await again.call("test_simple_text")).text, /simple text/);
        });
      });
    },
  },
  {
    name: "[AUTH-1] is turned away without a token",
    tokens: true,
    async run({ kind, guardedUrl }) {
      await assert.rejects(kind.connect({ url: guardedUrl }), /401|Unauthorized|token/i);
    },
  },
  {
    name: "[OWN-1] keeps its notes apart from another user's",
    tokens: true,
    async run(world) {
      const guarded = { ...world, url: world.guardedUrl };
      const as = (name: string): Partial<ClientInit> => ({
        headers: { authorization: `Bearer demo-token-of-${name}` },
      });
      await connected(guarded, async (ada) => {
        await ada.call("add_note", { text: `For ada alone, ${world.kind.name}` });
        await connected(guarded, async (ben) => {
          assert.doesNotMatch((await ben.call("list_notes")).text, /For ada alone/);
          const foreign = await fetch(world.guardedUrl, {
            method: "DELETE",
            headers: { ...as("ben").headers, "mcp-session-id": ada.sessionId ?? "" },
          });
          assert.equal(foreign.status, 404);
        }, as("ben"));
        assert.match((await ada.call("list_notes")).text, /For ada alone/);
      }, as("ada"));
    },
  },
];

/** What a client of 2026-07-28 does besides those that need no session. */
export const STATELESS: readonly Scenario[] = [
  {
    name: "[ERA-1, ERA-2] asks which era the server speaks, and speaks 2026-07-28",
    run: (world) =>
      connected(world, async (client) => {
        assert.equal(client.protocolVersion, "2026-07-28");
        assert.equal(client.serverName, "everything");
        assert.equal(client.sessionId, undefined);
        assert.deepEqual(client.errors, []);
      }),
  },
  ...SCENARIOS.filter(({ sessions }) => !sessions),
  {
    name: "[CAN-6] stops its calls by going away",
    async run(world) {
      const name = crypto.randomUUID();
      await proxied(world, async (client, proxy) => {
        const call = client.call("wait_for_cancel", { name }, { onProgress: () => proxy.cut() });
        call.catch(() => {});
        await connected(world, (other) => stopped(other, name));
      });
    },
  },
];

/**
 * What a client does over the pipes of a server that it starts. Without seeing all progress: official
 * clients drop a notification that they read together with the response.
 */
export const PIPES: readonly Scenario[] = SCENARIOS
  .filter(({ name, sessions, tokens }) => !sessions && !tokens && !name.includes("CAN-5"))
  .map((scenario) => ({ ...scenario, name: scenario.name.replace("[", "[STD-1, ") }));
