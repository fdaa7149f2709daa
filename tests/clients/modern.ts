/**
 * The official client in its three ways of choosing an era, at the same time on one endpoint.
 *
 * @module
 */
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import {
  Client,
  LOG_LEVEL_META_KEY,
  ProtocolError,
  StreamableHTTPClientTransport,
} from "@modelcontextprotocol/client";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler, McpHandlerOptions } from "../../src/handler/types.ts";
import { makeEverything } from "../fixtures/everything.ts";
import { ANSWERS, INFO, ROOTS, textOf } from "./client.ts";
import { abortable } from "./abortable.ts";
import type { Scenario } from "./scenarios.ts";

/** How a client chooses an era. */
type Mode = "legacy" | "auto" | { readonly pin: string };

const MODERN = "2026-07-28";
const LEGACY = "2025-11-25";
const PINNED: Mode = { pin: MODERN };
const MODES: readonly Mode[] = ["legacy", "auto", PINNED];
const WATCHED = "test://watched-resource";
const UPDATED = "notifications/resources/updated";
const TOOLS_CHANGED = "notifications/tools/list_changed";

/** A connected client, and what it noted. */
interface User {
  readonly name: string;
  readonly modern: boolean;
  readonly client: Client;
  readonly transport: StreamableHTTPClientTransport;
  /** What it was asked. */
  readonly asked: string[];
  /** What it was told that nobody waited for. */
  readonly told: { readonly method: string; readonly uri: unknown }[];
  readonly errors: Error[];
}

/** What a client is made of, besides its mode. */
interface UserInit {
  readonly url: string;
  readonly fetch?: typeof fetch;
  readonly capabilities?: ConstructorParameters<typeof Client>[1] extends
    { capabilities?: infer C } | undefined ? C : never;
}

const EVERYTHING = { elicitation: {}, sampling: {}, roots: {} };

async function connect(mode: Mode, init: UserInit): Promise<User> {
  const { url, fetch, capabilities = EVERYTHING } = init;
  const client = new Client(INFO, { capabilities, versionNegotiation: { mode } });
  const asked: string[] = [];
  const told: User["told"] = [];
  const errors: Error[] = [];
  client.onerror = (error) => errors.push(error);
  client.fallbackNotificationHandler = async ({ method, params }) => {
    told.push({ method, uri: params?.uri });
  };
  const note = <T>(method: string, answer: T) => () => {
    asked.push(method);
    return structuredClone(answer);
  };
  if ("elicitation" in capabilities) {
    client.setRequestHandler("elicitation/create", ({ params }) => {
      asked.push("elicitation/create");
      const schema = "requestedSchema" in params ? params.requestedSchema : undefined;
      const values: Record<string, string | boolean> = {
        ...ANSWERS.form.content,
        name: "Ada",
        color: "blue",
        ok: true,
        context: "a test",
      };
      const fields = Object.keys(schema?.properties ?? {});
      const content = Object.fromEntries(fields.map((key) => [key, values[key] ?? ""]));
      return { action: "accept" as const, content };
    });
  }
  if ("sampling" in capabilities) {
    client.setRequestHandler("sampling/createMessage", note("sampling", ANSWERS.model));
  }
  if ("roots" in capabilities) client.setRequestHandler("roots/list", note("roots", ROOTS));
  const transport = new StreamableHTTPClientTransport(new URL(url), { fetch: abortable(fetch) });
  await client.connect(transport);
  const modern = client.getProtocolEra() === "modern";
  const name = typeof mode === "string" ? mode : `pinned to ${mode.pin}`;
  return { name, modern, client, transport, asked, told, errors };
}

/** Connects a client of each mode at once, works with all of them at once, and closes them. */
async function together(url: string, work: (user: User) => Promise<void>): Promise<void> {
  const users = await Promise.all(MODES.map((mode) => connect(mode, { url })));
  try {
    await Promise.all(users.map(async (user) => {
      await work(user);
      assert.deepEqual(user.errors, [], user.name);
    }));
  } finally {
    await Promise.all(users.map(({ client }) => client.close()));
  }
}

/** One client, and the end of it. */
async function alone(
  mode: Mode,
  init: UserInit,
  work: (user: User) => Promise<void>,
): Promise<void> {
  const user = await connect(mode, init);
  try {
    await work(user);
  } finally {
    await user.client.close();
  }
}

/** A handler in this process that serves the same, for what the fixture server can't be told. */
async function inProcess(
  options: McpHandlerOptions,
  work: (init: UserInit, handler: McpHandler) => Promise<void>,
): Promise<void> {
  const handler = createMcpHandler(await makeEverything(), options);
  try {
    const send: typeof fetch = (input, init) => handler(new Request(input, init));
    await work({ url: "http://localhost/mcp", fetch: send }, handler);
  } finally {
    await handler.close({ graceMs: 0 });
  }
}

async function say(
  { client }: User,
  name: string,
  args: Record<string, unknown> = {},
): Promise<string> {
  return textOf((await client.callTool({ name, arguments: args })).content);
}

async function until(so: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (await so()) return;
    await pause(20);
  }
  throw new Error(`Waited in vain: ${what}`);
}

/** What it does in every mode, all of them at once. */
const SHARED: readonly Scenario[] = [
  {
    name: "[ERA-1, ERA-2] each speaks its own era",
    run: ({ url }) =>
      together(url, async (user) => {
        const { client, transport, modern } = user;
        assert.equal(modern, user.name !== "legacy");
        assert.equal(client.getNegotiatedProtocolVersion(), modern ? MODERN : LEGACY);
        assert.equal(transport.sessionId === undefined, modern);
        assert.equal(client.getServerVersion()?.name, "everything");
        assert.match(client.getInstructions() ?? "", /tests/);
      }),
  },
  {
    name: "[ERA-1, SRV-1] lists, reads and calls",
    run: ({ url }) =>
      together(url, async (user) => {
        const { client } = user;
        const [tools, resources, templates, prompts] = await Promise.all([
          client.listTools(),
          client.listResources(),
          client.listResourceTemplates(),
          client.listPrompts(),
        ]);
        assert.ok(tools.tools.some(({ name }) => name === "test_simple_text"));
        assert.ok(resources.resources.some(({ uri }) => uri === WATCHED));
        assert.ok(templates.resourceTemplates.length > 0);
        assert.ok(prompts.prompts.length > 0);
        const { contents } = await client.readResource({ uri: "test://static-text" });
        assert.match(textOf(contents), /static text/);
        assert.match(await say(user, "test_simple_text"), /simple text/);
      }),
  },
  {
    name: "[CAN-5] hears of progress",
    run: ({ url }) =>
      together(url, async ({ client }) => {
        const seen: number[] = [];
        const result = await client.callTool({ name: "count", arguments: { to: 5, ms: 5 } }, {
          onprogress: ({ progress }) => seen.push(progress),
        });
        assert.equal(textOf(result.content), "Counted to 5");
        assert.deepEqual(seen, [1, 2, 3, 4, 5]);
      }),
  },
  {
    name: "[ASK-1, ASK-5] is asked for a form, a message and roots, by the same tools",
    run: ({ url }) =>
      together(url, async (user) => {
        assert.match(await say(user, "test_elicitation", { message: "Who?" }), /ada@example\.com/);
        assert.match(await say(user, "test_sampling", { prompt: "What?" }), /Forty-two/);
        assert.match(await say(user, "list_roots"), /file:\/\/\/home\/ada/);
        assert.deepEqual(user.asked, ["elicitation/create", "sampling", "roots"]);
      }),
  },
  {
    name: "[ASK-5] is asked several things at once, and one after the other",
    run: ({ url }) =>
      together(url, async (user) => {
        const prefix = "test_input_required_result";
        assert.equal(await say(user, `${prefix}_multiple_inputs`), "Ada: Forty-two, 1 roots");
        assert.deepEqual(user.asked.toSorted(), ["elicitation/create", "roots", "sampling"]);
        assert.equal(await say(user, `${prefix}_multi_round`), "Ada likes blue");
        const prompt = await user.client.getPrompt({ name: `${prefix}_prompt` });
        assert.match(textOf(prompt.messages.map(({ content }) => content)), /Context: a test/);
        assert.equal(user.asked.length, 6);
      }),
  },
  {
    name: "[CAN-2, CAN-6] cancels a call, which stops",
    run: ({ url }) =>
      together(url, async (user) => {
        const name = crypto.randomUUID();
        const controller = new AbortController();
        const call = user.client.callTool({ name: "wait_for_cancel", arguments: { name } }, {
          signal: controller.signal,
          onprogress: () => controller.abort("Enough"),
        });
        await assert.rejects(call);
        const stopped = async () => await say(user, "was_cancelled", { name }) === "cancelled";
        await until(stopped, `${user.name}: the tool to stop`);
      }),
  },
  {
    name: "[ERA-5, STR-13] hears of a changed resource and of changed tools",
    run: ({ url }) =>
      together(url, async (user) => {
        const { client, modern, told } = user;
        const heard = (method: string) => told.filter((one) => one.method === method).length;
        if (modern) {
          const filter = { toolsListChanged: true, resourceSubscriptions: [WATCHED] };
          const subscription = await client.listen(filter);
          assert.deepEqual(subscription.honoredFilter, filter);
        } else await client.subscribeResource({ uri: WATCHED });
        // The older era's stream may open a little later than its handshake ends.
        await until(async () => {
          await say(user, "touch_watched_resource");
          await pause(100);
          return heard(UPDATED) > 0;
        }, `${user.name}: the update`);
        assert.equal(told.find(({ method }) => method === UPDATED)?.uri, WATCHED);
        await say(user, "test_trigger_tool_change");
        await until(() => heard(TOOLS_CHANGED) > 0, `${user.name}: the change`);
      }),
  },
  {
    name: "[ERA-6] is told what is logged",
    run: ({ url }) =>
      together(url, async ({ client, modern, told }) => {
        const logged = () => told.filter(({ method }) => method === "notifications/message").length;
        const name = "test_logging_tool";
        if (modern) {
          await client.callTool({ name });
          assert.equal(logged(), 0, "nothing is logged without a level");
          await client.callTool({ name, _meta: { [LOG_LEVEL_META_KEY]: "warning" } });
        } else {
          await client.setLoggingLevel("warning");
          await client.callTool({ name });
        }
        assert.equal(logged(), 2);
      }),
  },
];

/** What only clients of the newer era do, or don't do. */
const OWN: readonly Scenario[] = [
  {
    name: "[ERA-3] repeats marked arguments in headers, as they are and encoded",
    run: ({ url }) =>
      alone(PINNED, { url }, async (user) => {
        await user.client.listTools();
        for (const region of ["us-west1", "Grüße, 世界", " padded ", "=?base64?x?="]) {
          assert.equal(await say(user, "test_x_mcp_header", { region }), `Region: ${region}`);
        }
        assert.equal(await say(user, "test_x_mcp_header"), "Region: none");
      }),
  },
  {
    name: "[ERA-3] is told which capability it lacks",
    run: ({ url }) =>
      alone(PINNED, { url, capabilities: { roots: {} } }, async (user) => {
        await assert.rejects(say(user, "test_missing_capability"), (error) => {
          assert.ok(error instanceof ProtocolError, String(error));
          assert.equal(error.code, -32021);
          assert.deepEqual(error.data, { requiredCapabilities: { sampling: {} } });
          return true;
        });
      }),
  },
  {
    name: "[ERA-5] ends its subscription, and begins another",
    run: ({ url }) =>
      alone(PINNED, { url }, async (user) => {
        const { client, told } = user;
        for (let i = 0; i < 3; i++) {
          const subscription = await client.listen({ resourceSubscriptions: [WATCHED] });
          told.length = 0;
          await say(user, "touch_watched_resource");
          await until(() => told.length > 0, "the update");
          await subscription.close();
          assert.equal(await subscription.closed, "local");
          // What was touched may still be told once.
          await pause(300);
          told.length = 0;
          await say(user, "touch_watched_resource");
          await pause(400);
          assert.deepEqual(told, []);
        }
      }),
  },
  {
    name: "[ERA-5, END-1] sees its subscription end when the server closes",
    run: () =>
      inProcess({}, async (init, handler) => {
        await alone("auto", init, async ({ client }) => {
          const subscription = await client.listen({ toolsListChanged: true });
          assert.equal(handler.stats().listens, 1);
          await handler.close();
          assert.equal(await subscription.closed, "graceful");
        });
      }),
  },
  {
    name: "[ERA-5] is told that nobody may listen",
    run: () =>
      inProcess({ streams: { listen: false } }, (init) =>
        alone(PINNED, init, async (user) => {
          await assert.rejects(user.client.listen({ toolsListChanged: true }), /not found/i);
          assert.match(await say(user, "test_simple_text"), /simple text/);
        })),
  },
  {
    name: "[ERA-1] where only the older era is served: auto falls back, a pin fails",
    run: () =>
      inProcess({ versions: ["2025-11-25", "2025-06-18"] }, async (init) => {
        await alone("auto", init, async (user) => {
          assert.equal(user.client.getNegotiatedProtocolVersion(), LEGACY);
          assert.match(await say(user, "test_simple_text"), /simple text/);
        });
        await assert.rejects(connect(PINNED, init));
      }),
  },
  {
    name: "[ERA-1] where only the newer era is served: auto and a pin work, legacy is told why not",
    run: () =>
      inProcess({ versions: [MODERN] }, async (init) => {
        for (const mode of ["auto", PINNED] as const) {
          await alone(mode, init, async (user) => {
            assert.match(await say(user, "test_simple_text"), /simple text/);
          });
        }
        await assert.rejects(connect("legacy", init), /2026-07-28/);
      }),
  },
];

/** What the official client does in its three modes. */
export const MODES_TOGETHER: readonly Scenario[] = [...SHARED, ...OWN];
