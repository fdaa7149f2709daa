import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler, McpHandlerOptions } from "../../src/handler/types.ts";
import { MissingCapabilityError } from "../../src/protocol/errors.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import type { ClientCapabilities } from "../../src/protocol/shapes.ts";
import { StopError } from "../../src/calls/lifetime/stop.ts";
import { completable } from "../../src/server/schemas/completable.ts";
import { ResourceTemplate } from "../../src/server/uris/resource_template.ts";
import { McpServer } from "../../src/server/server.ts";
import type { RequestContext } from "../../src/server/types.ts";
import { CAPABLE, ModernPeer, questionsOf, stateOf } from "../support/modern.ts";
import { assertValid } from "../support/schema.ts";
import { Events, Gate, initialize, isPending, type Peer, soon, textOf } from "../support/wire.ts";

const NOTHING = { sessions: 0, streams: 0, requests: 0, questions: 0, listens: 0 };
const NAME = { message: "Who are you?", schema: z.object({ name: z.string() }) };
const COLOUR = { message: "Which colour?", schema: z.object({ colour: z.string() }) };
const VISIT = { message: "Sign in", url: "https://example.com/sign-in" };
const PROMPT = {
  messages: [{ role: "user", content: { type: "text", text: "Say hello" } }],
  maxTokens: 10,
} as const;
const HELLO = {
  role: "assistant",
  content: { type: "text", text: "Hello" },
  model: "m",
  stopReason: "endTurn",
};
const ROOTS = { roots: [{ uri: "file:///home/ada", name: "home" }] };

/** Answers a question as a client does. */
type Answer = (method: string, params: JsonObject) => JsonObject;

/** What a call came to, whatever the era. */
interface Played {
  readonly result?: JsonObject;
  readonly error?: JsonObject;
  readonly status: number;
  /** What was asked, in order. */
  readonly asked: readonly { readonly method: string; readonly params: JsonObject }[];
  /** How many requests it took. */
  readonly rounds: number;
}

/** A client of one era. */
interface Player {
  readonly name: string;
  call(
    handler: McpHandler,
    tool: string,
    args: JsonObject,
    capabilities: ClientCapabilities,
    answer: Answer,
  ): Promise<Played>;
}

/** Asks on the call's own stream, and waits there for the answer. */
const oldPlayer: Player = {
  name: "2025 over its stream",
  async call(handler, tool, args, capabilities, answer) {
    const peer = await initialize(handler, { capabilities });
    const response = await peer.call(1, tool, args);
    const asked: Played["asked"][number][] = [];
    let last: JsonObject | undefined;
    if (response.headers.get("content-type") === "application/json") {
      last = await peer.json(response.clone());
    } else {
      const frames = peer.frames(response);
      for (let said = await frames.message(); said !== undefined; said = await frames.message()) {
        last = said;
        if (typeof said.method !== "string" || said.id === undefined) continue;
        const params = isObject(said.params) ? said.params : {};
        asked.push({ method: said.method, params });
        await peer.reply(said.id, answer(said.method, params));
      }
    }
    await peer.delete();
    return played(last, response.status, asked, 1);
  },
};

/** Is asked in the result, and calls again with the answer. */
const modernPlayer: Player = {
  name: "2026 by rounds",
  async call(handler, tool, args, capabilities, answer) {
    const peer = new ModernPeer(handler, { capabilities });
    const asked: Played["asked"][number][] = [];
    let retry: JsonObject = {};
    for (let rounds = 1; rounds < 10; rounds++) {
      const { status, message } = await peer.answer(await peer.call(tool, args, retry));
      const { result } = message;
      if (!isObject(result) || result.resultType !== "input_required") {
        return played(message, status, asked, rounds);
      }
      const questions = Object.entries(questionsOf(result));
      asked.push(...questions.map(([, question]) => question));
      const inputResponses = Object.fromEntries(
        questions.map(([key, { method, params }]) => [key, answer(method, params)]),
      );
      retry = { inputResponses, requestState: result.requestState };
    }
    throw new Error("It never comes to an end");
  },
};

const PLAYERS = [oldPlayer, modernPlayer];

function played(
  message: JsonObject | undefined,
  status: number,
  asked: Played["asked"],
  rounds: number,
): Played {
  const { result, error } = message ?? {};
  return {
    ...isObject(result) && { result },
    ...isObject(error) && { error },
    status,
    asked,
    rounds,
  };
}

/** Answers everything with what fits. */
function willing(method: string, { requestedSchema }: JsonObject): JsonObject {
  if (method === "sampling/createMessage") return HELLO;
  if (method === "roots/list") return ROOTS;
  const fields = isObject(requestedSchema) && isObject(requestedSchema.properties)
    ? Object.keys(requestedSchema.properties)
    : [];
  const values: Readonly<Record<string, unknown>> = { name: "Ada", colour: "blue", approve: true };
  return fields.length === 0
    ? { action: "accept" }
    : { action: "accept", content: Object.fromEntries(fields.map((key) => [key, values[key]])) };
}

type Tool = (ctx: RequestContext, args: JsonObject) => unknown;

/** A handler with one tool. */
function serving(run: Tool, options?: McpHandlerOptions) {
  const events = new Events();
  const server = new McpServer({ name: "rounds", version: "1.0.0" });
  server.registerTool("tool", { inputSchema: z.record(z.string(), z.unknown()) }, async (
    args,
    ctx,
  ) => {
    const value = await run(ctx, args);
    return typeof value === "string" ? value : JSON.stringify(value ?? null);
  });
  const handler = createMcpHandler(server, { onEvent: events.onEvent, ...options });
  return { server, handler, events, peer: new ModernPeer(handler, { capabilities: CAPABLE }) };
}

/** Plays the one tool of a server in an era. */
async function play(
  player: Player,
  run: Tool,
  answer: Answer = willing,
  capabilities: ClientCapabilities = CAPABLE,
): Promise<Played> {
  const { handler } = serving(run);
  const outcome = await player.call(handler, "tool", {}, capabilities, answer);
  assert.deepEqual(handler.stats(), NOTHING);
  await handler.close();
  return outcome;
}

for (const player of PLAYERS) {
  describe(`ASK: one handler for both eras: ${player.name}`, () => {
    test("[ASK-1] [ASK-5] ctx.elicit asks the user to fill in a form", async () => {
      const { result, asked } = await play(player, (ctx) => ctx.elicit("name", NAME));
      assert.deepEqual(JSON.parse(String(textOf(result))), {
        action: "accept",
        content: { name: "Ada" },
      });
      assert.deepEqual(asked, [{
        method: "elicitation/create",
        params: {
          mode: "form",
          message: "Who are you?",
          requestedSchema: {
            type: "object",
            properties: { name: { type: "string" } },
            required: ["name"],
          },
        },
      }]);
    });

    for (const action of ["decline", "cancel"]) {
      test(`[ASK-1] [ASK-5] ctx.elicit tells that the user said ${action}`, async () => {
        const { result } = await play(
          player,
          (ctx) => ctx.elicit("name", NAME),
          () => ({ action }),
        );
        assert.deepEqual(JSON.parse(String(textOf(result))), { action });
      });
    }

    test("[ASK-1] [ASK-5] ctx.elicit asks the user to visit a page", async () => {
      const { result, asked } = await play(player, (ctx) => ctx.elicit("sign-in", VISIT));
      assert.deepEqual(JSON.parse(String(textOf(result))), { action: "accept" });
      const [question] = asked;
      assert.ok(question);
      const { elicitationId, ...params } = question.params;
      assert.deepEqual(params, { mode: "url", ...VISIT });
      assert.equal(elicitationId !== undefined, player === oldPlayer);
    });

    test("[ASK-1] [ASK-5] ctx.sample asks the model", async () => {
      const { result, asked } = await play(player, (ctx) => ctx.sample("hello", PROMPT));
      assert.deepEqual(JSON.parse(String(textOf(result))), HELLO);
      assert.deepEqual(asked, [{ method: "sampling/createMessage", params: PROMPT }]);
    });

    test("[ASK-1] [ASK-5] ctx.roots asks for the folders", async () => {
      const { result, asked } = await play(player, (ctx) => ctx.roots());
      assert.deepEqual(JSON.parse(String(textOf(result))), ROOTS.roots);
      assert.deepEqual(asked.map(({ method }) => method), ["roots/list"]);
    });

    test("[ASK-1] [ASK-5] several questions at once", async () => {
      const { result, asked, rounds } = await play(player, async (ctx) => {
        const [{ content }, said, roots] = await Promise.all([
          ctx.elicit("name", NAME),
          ctx.sample("hello", PROMPT),
          ctx.roots(),
        ]);
        return [content?.name, said.model, roots.length];
      });
      assert.deepEqual(JSON.parse(String(textOf(result))), ["Ada", "m", 1]);
      assert.deepEqual(asked.map(({ method }) => method).sort(), [
        "elicitation/create",
        "roots/list",
        "sampling/createMessage",
      ]);
      assert.equal(rounds, player === oldPlayer ? 1 : 2);
    });

    test("[ASK-1] [ASK-5] one question after the other, each depending on the last", async () => {
      const { result, asked, rounds } = await play(player, async (ctx) => {
        const { content } = await ctx.elicit("name", NAME);
        const message = `Which colour, ${content?.name}?`;
        const colour = await ctx.elicit("colour", { ...COLOUR, message });
        const roots = await ctx.roots();
        return [content?.name, colour.content?.colour, roots[0]?.name];
      });
      assert.deepEqual(JSON.parse(String(textOf(result))), ["Ada", "blue", "home"]);
      assert.equal(asked[1]?.params.message, "Which colour, Ada?");
      assert.equal(rounds, player === oldPlayer ? 1 : 4);
    });

    test("[ASK-5] questions that are only asked now and then", async () => {
      const run: Tool = async (ctx) => {
        const { action } = await ctx.elicit("name", NAME);
        return action === "accept" ? "fine" : (await ctx.sample("plan b", PROMPT)).model;
      };
      const declined: Answer = (
        method,
      ) => (method === "elicitation/create" ? { action: "decline" } : HELLO);
      assert.equal(textOf((await play(player, run)).result), "fine");
      assert.equal(textOf((await play(player, run, declined)).result), "m");
    });

    test("[SRV-2] [ASK-1] [ASK-5] content that doesn't fit the form fails the tool, with the path", async () => {
      const wrong: Answer = () => ({ action: "accept", content: { name: 7 } });
      const { error, result } = await play(player, (ctx) => ctx.elicit("name", NAME), wrong);
      assert.equal(error, undefined);
      assert.equal(result?.isError, true);
      assert.match(
        String(textOf(result)),
        /^A question of the tool "\w+" failed: The client's answer doesn't fit: "name": /,
      );
    });

    const lacking: readonly (readonly [string, ClientCapabilities, Tool])[] = [
      ["elicitation", {}, (ctx) => ctx.elicit("name", NAME)],
      ["elicitation.url", { elicitation: {} }, (ctx) => ctx.elicit("visit", VISIT)],
      ["elicitation.form", { elicitation: { url: {} } }, (ctx) => ctx.elicit("name", NAME)],
      ["sampling", { elicitation: {}, roots: {} }, (ctx) => ctx.sample("hello", PROMPT)],
      [
        "sampling.tools",
        { sampling: {} },
        (ctx) => ctx.sample("hello", { ...PROMPT, toolChoice: { mode: "none" } }),
      ],
      ["roots", { elicitation: {}, sampling: {} }, (ctx) => ctx.roots()],
    ];
    for (const [capability, capabilities, run] of lacking) {
      test(`[SRV-2] [ASK-2] [ERA-3] a client without ${capability} isn't asked`, async () => {
        const { error, result, asked, status } = await play(player, run, willing, capabilities);
        if (player === oldPlayer) {
          assert.equal(error, undefined);
          assert.equal(result?.isError, true);
          assert.match(
            String(textOf(result)),
            /^The tool "\w+" has to .+, and this client can't\./,
          );
          assert.deepEqual([asked, status], [[], 200]);
          return;
        }
        assert.equal(error?.code, -32021);
        const [first = "", second] = capability.split(".");
        assert.deepEqual(error?.data, {
          requiredCapabilities: { [first]: second === undefined ? {} : { [second]: {} } },
        });
        assert.deepEqual(asked, []);
        assert.equal(status, 400);
        const message = { jsonrpc: "2.0", id: 1, error };
        assertValid("2026-07-28", "MissingRequiredClientCapabilityError", message);
      });
    }

    test("[ASK-2] a handler can go on without what the client can't do", async () => {
      const { result, status } = await play(
        player,
        async (ctx) => {
          try {
            return (await ctx.sample("hello", PROMPT)).model;
          } catch (error) {
            if (error instanceof MissingCapabilityError) return `No ${error.capability}`;
            throw error;
          }
        },
        willing,
        {},
      );
      assert.equal(textOf(result), "No sampling");
      assert.equal(status, 200);
    });

    test("[ASK-5] what was asked before a missing capability shows is asked nevertheless", async () => {
      const { error, result, asked } = await play(
        player,
        async (ctx) => [await ctx.elicit("name", NAME), await ctx.roots()],
        willing,
        { elicitation: {} },
      );
      if (player === oldPlayer) assert.equal(result?.isError, true);
      else assert.equal(error?.code, -32021);
      assert.deepEqual(asked.map(({ method }) => method), ["elicitation/create"]);
    });
  });

  describe(`ASK: approval in both eras: ${player.name}`, () => {
    function approved() {
      const ran: unknown[] = [];
      const server = new McpServer({ name: "approval", version: "1.0.0" });
      server.registerTool("delete", {
        title: "Delete a file",
        inputSchema: z.object({ path: z.string() }),
        approval: ({ path }) => path.startsWith("/tmp") ? false : `Really delete ${path}?`,
      }, async ({ path }, ctx) => {
        ran.push(path);
        const { content } = await ctx.elicit("name", NAME);
        return `${content?.name} deleted ${path}`;
      });
      return { ran, handler: createMcpHandler(server) };
    }

    test("[ASK-4] [ASK-5] a yes lets it run, with questions of its own afterwards", async () => {
      const { ran, handler } = approved();
      const path = "/etc/passwd";
      const { result, asked } = await player.call(handler, "delete", { path }, CAPABLE, willing);
      assert.equal(textOf(result), `Ada deleted ${path}`);
      assert.equal(asked.length, 2);
      const [approval] = asked;
      assert.match(String(approval?.params.message), /^Really delete \/etc\/passwd\?\n\n\{/);
      // By rounds it begins again after its own question, never before the yes.
      assert.deepEqual(ran, player === oldPlayer ? [path] : [path, path]);
      assert.deepEqual(handler.stats(), NOTHING);
      await handler.close();
    });

    const noes: Readonly<Record<string, JsonObject>> = {
      "decline": { action: "decline" },
      "cancel": { action: "cancel" },
      "accept without an answer": { action: "accept", content: {} },
      "accept with a no": { action: "accept", content: { approve: false } },
      "accept with something like a yes": { action: "accept", content: { approve: "true" } },
      "something else": { action: "approve" },
    };
    for (const [what, answer] of Object.entries(noes)) {
      test(`[ASK-4] [ASK-5] ${what}: it never runs`, async () => {
        const { ran, handler } = approved();
        const args = { path: "/etc/passwd" };
        const { result } = await player.call(handler, "delete", args, CAPABLE, () => answer);
        assert.equal(result?.isError, true);
        assert.match(String(textOf(result)), /not approved/);
        assert.deepEqual(ran, []);
        await handler.close();
      });
    }

    test("[ASK-4] a client that can't be asked: it never runs", async () => {
      const { ran, handler } = approved();
      const args = { path: "/etc/passwd" };
      const { result, asked } = await player.call(handler, "delete", args, { roots: {} }, willing);
      assert.equal(result?.isError, true);
      assert.deepEqual([ran, asked], [[], []]);
      await handler.close();
    });

    test("[ASK-4] what needs no approval runs without", async () => {
      const { ran, handler } = approved();
      const args = { path: "/tmp/x" };
      const { asked } = await player.call(handler, "delete", args, CAPABLE, willing);
      assert.deepEqual([ran.length > 0, asked.length], [true, 1]);
      await handler.close();
    });
  });
}

test("[ASK-5] a yes to one call is none to another", async () => {
  const server = new McpServer({ name: "approval", version: "1.0.0" });
  const ran: string[] = [];
  server.registerTool("delete", {
    inputSchema: z.object({ path: z.string() }),
    approval: true,
  }, ({ path }) => {
    ran.push(path);
    return "Deleted";
  });
  const handler = createMcpHandler(server);
  const peer = new ModernPeer(handler, { capabilities: CAPABLE });
  const asked = await peer.say("delete", { path: "/a" });
  const requestState = stateOf(asked);
  const [key = ""] = Object.keys(questionsOf(asked));
  const inputResponses = { [key]: { action: "accept", content: { approve: true } } };
  const retry = { requestState, inputResponses };
  assert.equal((await peer.error(await peer.call("delete", { path: "/b" }, retry))).code, -32602);
  assert.deepEqual(ran, []);
  assert.equal(textOf(await peer.say("delete", { path: "/a" }, retry)), "Deleted");
  assert.deepEqual(ran, ["/a"]);
  await handler.close();
});

describe("ASK: what the client answers", () => {
  const asking: Tool = async (ctx) => (await ctx.elicit("name", NAME)).content?.name ?? "nobody";
  const ada = { action: "accept", content: { name: "Ada" } };

  const none: Readonly<Record<string, unknown>> = {
    "nothing": undefined,
    "null": null,
    "a text": "Ada",
    "a list": [ada],
    "an empty object": {},
    "another key": { nickname: ada },
    "the key in another case": { Name: ada },
    "null under the key": { name: null },
    "a text under the key": { name: "Ada" },
    "a list under the key": { name: [ada] },
    "true under the key": { name: true },
  };
  for (const [what, inputResponses] of Object.entries(none)) {
    test(`[ASK-5] ${what}: it is asked again, and then answered`, async () => {
      const { handler, peer } = serving(asking);
      const first = await peer.say("tool");
      const second = await peer.say("tool", {}, {
        inputResponses,
        requestState: first.requestState,
      });
      assert.deepEqual(questionsOf(second), questionsOf(first));
      const third = await peer.say("tool", {}, {
        inputResponses: { name: ada },
        requestState: second.requestState,
      });
      assert.equal(textOf(third), "Ada");
      await handler.close();
    });
  }

  test("[ASK-5] keys that nobody asked for are ignored", async () => {
    const { handler, peer } = serving(asking);
    const { requestState } = await peer.say("tool");
    const inputResponses = { "name": ada, "other": ada, "__proto__": ada, "": null };
    assert.equal(textOf(await peer.say("tool", {}, { inputResponses, requestState })), "Ada");
    await handler.close();
  });

  test("[ASK-5] what was answered once can't be answered anew with the same state", async () => {
    const { handler, peer } = serving(async (ctx) => [
      (await ctx.elicit("name", NAME)).content?.name,
      (await ctx.elicit("colour", COLOUR)).content?.colour,
    ]);
    const first = await peer.say("tool");
    const second = await peer.say("tool", {}, {
      inputResponses: { name: ada },
      requestState: first.requestState,
    });
    const bob = { action: "accept", content: { name: "Bob" } };
    const blue = { action: "accept", content: { colour: "blue" } };
    const third = await peer.say("tool", {}, {
      inputResponses: { name: bob, colour: blue },
      requestState: second.requestState,
    });
    assert.deepEqual(JSON.parse(String(textOf(third))), ["Ada", "blue"]);
    await handler.close();
  });

  test("[ASK-5] a client that forgets the state is asked from the beginning, answer by answer", async () => {
    const { handler, peer } = serving(async (ctx) => [
      (await ctx.elicit("name", NAME)).content?.name,
      (await ctx.elicit("colour", COLOUR)).content?.colour,
    ]);
    const blue = { action: "accept", content: { colour: "blue" } };
    const one = await peer.say("tool", {}, { inputResponses: { colour: blue } });
    assert.deepEqual(Object.keys(questionsOf(one)), ["name"]);
    const all = await peer.say("tool", {}, { inputResponses: { name: ada, colour: blue } });
    assert.deepEqual(JSON.parse(String(textOf(all))), ["Ada", "blue"]);
    await handler.close();
  });

  test("[ASK-5] answers to a tool that asks nothing are ignored", async () => {
    const { handler, peer } = serving(() => "Nothing to ask");
    const said = await peer.say("tool", {}, { inputResponses: { name: ada } });
    assert.equal(textOf(said), "Nothing to ask");
    await handler.close();
  });

  test("[ASK-5] another question under the same key, when it runs again: the handler is told so", async () => {
    let run = 0;
    const { handler, peer, events } = serving(async (ctx) => {
      const message = `Run ${++run}: who are you?`;
      return (await ctx.elicit("name", { ...NAME, message })).content?.name ?? "";
    });
    const { requestState } = await peer.say("tool");
    const said = await peer.say("tool", {}, { inputResponses: { name: ada }, requestState });
    assert.equal(said.isError, true);
    const [failure] = events.of("error");
    assert.ok(failure?.error instanceof TypeError);
    assert.match(failure.error.message, /Ask the same question under the same key .*: "name"/);
    await handler.close();
  });

  test("[ASK-5] two questions under one key in one run: the handler is told so", async () => {
    const { handler, peer, events } = serving((ctx) =>
      Promise.all([ctx.elicit("one", NAME), ctx.elicit("one", COLOUR)])
    );
    assert.equal((await peer.say("tool")).isError, true);
    const [failure] = events.of("error");
    assert.ok(failure?.error instanceof TypeError);
    assert.match(failure.error.message, /Use a different key for each question of a call: "one"/);
    await handler.close();
  });
});

describe("ASK: where questions may be asked", () => {
  test("[ASK-5] a prompt and a resource may ask, by rounds", async () => {
    const { server, handler, peer } = serving(() => "");
    server.registerPrompt("greet", {}, async (_args, ctx) => {
      return `Greet ${(await ctx.elicit("name", NAME)).content?.name}`;
    });
    server.registerResource("home", "test://home", {}, async (_uri, ctx) => {
      return `${(await ctx.roots())[0]?.uri}`;
    });
    const requests = [["prompts/get", { name: "greet" }, /Greet Ada/], [
      "resources/read",
      { uri: "test://home" },
      /file:\/\/\/home\/ada/,
    ]] as const;
    for (const [method, params, wanted] of requests) {
      const asked = await peer.ask(method, params);
      const [[key, question] = ["", undefined]] = Object.entries(questionsOf(asked));
      assert.ok(question);
      const inputResponses = { [key]: willing(question.method, question.params) };
      const { requestState } = asked;
      const result = await peer.ask(method, { ...params, inputResponses, requestState });
      assert.match(JSON.stringify(result), wanted);
    }
    await handler.close();
  });

  test("[ASK-5] what is listed or completed can't be: the request fails, and the operator learns why", async () => {
    const { server, handler, peer, events } = serving(() => "");
    server.registerResource(
      "files",
      new ResourceTemplate("test://files/{name}", {
        list: async (ctx) => ({
          resources: (await ctx.roots()).map(({ uri }) => ({ uri, name: uri })),
        }),
      }),
      {},
      () => "",
    );
    server.registerPrompt("greet", {
      argsSchema: z.object({
        name: completable(z.string(), async (_value, _context, ctx) => {
          return [(await ctx.elicit("name", NAME)).action];
        }),
      }),
    }, () => "");
    const ref = { type: "ref/prompt", name: "greet" };
    const requests = [["resources/list", {}], [
      "completion/complete",
      { ref, argument: { name: "name", value: "" } },
    ]] as const;
    for (const [method, params] of requests) {
      const error = await peer.error(await peer.request(method, params), method);
      assert.equal(error.code, -32603);
    }
    const told = events.of("error").map(({ error }) => String(error));
    assert.equal(told.length, 2);
    for (const error of told) assert.match(error, /Ask only in tools, prompts and resources/);
    await handler.close();
  });
});

describe("ASK: the end of a round", () => {
  test("[ASK-5] the handler's signal aborts, its finally runs, and nothing of it is left", async () => {
    const ended = new Gate<unknown>();
    const { handler, peer, events } = serving(async (ctx) => {
      try {
        await ctx.elicit("name", NAME);
      } finally {
        ended.open(ctx.signal.reason);
      }
      return "";
    });
    assert.equal((await peer.say("tool")).resultType, "input_required");
    const reason = await soon(ended.promise, "the finally block");
    assert.ok(reason instanceof StopError);
    assert.equal(reason.kind, "input-required");
    assert.deepEqual(handler.stats(), NOTHING);
    const [finished] = events.of("request-finished");
    assert.equal(finished?.outcome, "input-required");
    assert.deepEqual(events.of("error"), []);
    await handler.close();
  });

  test("[ASK-5] work beside the question is told to stop", async () => {
    const stopped = new Gate<unknown>();
    const { handler, peer } = serving((ctx) => {
      const work = new Promise((_, reject) => {
        ctx.signal.addEventListener("abort", () => {
          stopped.open(ctx.signal.reason);
          reject(ctx.signal.reason);
        });
      });
      return Promise.all([ctx.elicit("name", NAME), work]);
    });
    assert.equal((await peer.say("tool")).resultType, "input_required");
    assert.ok(await soon(stopped.promise, "the signal") instanceof StopError);
    await handler.close();
  });

  test("[ASK-5] a handler that goes on regardless can't send anything more", async () => {
    const done = new Gate<unknown>();
    const { handler, peer, events } = serving(async (ctx) => {
      ctx.progress(1);
      let swallowed: unknown;
      try {
        await ctx.elicit("name", NAME);
      } catch (error) {
        swallowed = error;
      }
      ctx.progress(2);
      ctx.log("emergency", "Still here");
      ctx.notify({ method: "notifications/progress", params: { progressToken: 1, progress: 3 } });
      const again = await ctx.sample("more", PROMPT).catch((error: unknown) => error);
      done.open([swallowed, again]);
      return "Too late";
    });
    const talker = peer.with({ logLevel: "debug" });
    const response = await talker.call("tool", {}, { _meta: { progressToken: 1 } });
    const messages = await talker.frames(response).messages();
    assert.deepEqual(messages.map(({ method }) => method), ["notifications/progress", undefined]);
    const { result } = messages.at(-1) ?? {};
    assert.deepEqual(Object.keys(questionsOf(result as JsonObject)), ["name"]);
    const errors = await soon(done.promise, "the handler");
    for (const error of errors as unknown[]) assert.ok(error instanceof StopError, String(error));
    assert.deepEqual(events.of("message-dropped").map(({ reason }) => reason), [
      "finished",
      "finished",
      "finished",
    ]);
    assert.deepEqual(handler.stats(), NOTHING);
    await handler.close();
  });

  test("[ASK-5] questions that nobody waits for bring nothing down", async () => {
    const { handler, peer } = serving(async (ctx) => {
      const name = ctx.elicit("name", NAME);
      const colour = ctx.elicit("colour", COLOUR);
      const { model } = await ctx.sample("hello", PROMPT);
      return [model, (await colour).content?.colour, (await name).content?.name];
    });
    const first = await peer.say("tool");
    assert.deepEqual(Object.keys(questionsOf(first)), ["name", "colour", "hello"]);
    // An unhandled rejection would have ended the process by now.
    await new Promise((resolve) => setTimeout(resolve, 20));
    const questions = Object.entries(questionsOf(first));
    const inputResponses = Object.fromEntries(
      questions.map(([key, { method, params }]) => [key, willing(method, params)]),
    );
    const { requestState } = first;
    const last = await peer.say("tool", {}, { inputResponses, requestState });
    assert.deepEqual(JSON.parse(String(textOf(last))), ["m", "blue", "Ada"]);
    await handler.close();
  });

  test("[ASK-1] questions that nobody waits for bring nothing down in the older era either", async () => {
    const { handler } = serving((ctx) => {
      ctx.elicit("name", NAME);
      ctx.sample("hello", PROMPT);
      ctx.roots();
      return "Not waiting";
    });
    for (const capabilities of [CAPABLE, {}]) {
      const peer = await initialize(handler, { capabilities });
      const response = await peer.call(1, "tool");
      assert.equal(textOf(await peer.result(response)), "Not waiting");
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(handler.stats().questions, 0);
    await handler.close();
  });

  test("[ASK-5] a handler that has its result already isn't held up by what it asked", async () => {
    const { handler, peer } = serving((ctx) => {
      ctx.elicit("name", NAME);
      return "Done";
    });
    assert.equal(textOf(await peer.say("tool")), "Done");
    await handler.close();
  });

  test("[ASK-5] a handler that fails while it asks has failed", async () => {
    const { handler, peer } = serving((ctx) => {
      ctx.elicit("name", NAME);
      throw new Error("Broken");
    });
    assert.equal((await peer.say("tool")).isError, true);
    await handler.close();
  });

  test("[ASK-5] progress before a question streams, and the question ends the stream", async () => {
    const { handler, peer } = serving(async (ctx) => {
      ctx.progress(1, 2, "Asking");
      return (await ctx.elicit("name", NAME)).content?.name;
    });
    const response = await peer.call("tool", {}, { _meta: { progressToken: "p" } });
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    const [progress, last, ...more] = await peer.frames(response).messages();
    assert.equal(progress?.method, "notifications/progress");
    assert.ok(isObject(last?.result));
    assert.equal(last.result.resultType, "input_required");
    assert.deepEqual(more, []);
    await handler.close();
  });

  test("[ASK-5] nothing is kept for the client between its rounds", async () => {
    const { handler, peer } = serving(async (ctx) => (await ctx.elicit("name", NAME)).action);
    for (let i = 0; i < 50; i++) await peer.say("tool");
    assert.deepEqual(handler.stats(), NOTHING);
    await handler.close();
  });

  test("[ASK-5] two rounds of one call at the same time don't disturb each other", async () => {
    const { handler, peer } = serving(async (ctx) =>
      (await ctx.elicit("name", NAME)).content?.name
    );
    const { requestState } = await peer.say("tool");
    const names = ["Ada", "Bob", "Cyd"];
    const said = await Promise.all(names.map((name) =>
      peer.say("tool", {}, {
        requestState,
        inputResponses: { name: { action: "accept", content: { name } } },
      })
    ));
    assert.deepEqual(said.map(textOf), names);
    await handler.close();
  });

  test("[ASK-1] the older era waits where the newer one ends", async () => {
    const { handler, peer } = serving(async (ctx) => (await ctx.elicit("name", NAME)).action);
    assert.equal((await peer.say("tool")).resultType, "input_required");
    const old: Peer = await initialize(handler, { capabilities: CAPABLE });
    const frames = old.frames(await old.call(1, "tool"));
    const question = await frames.message();
    assert.equal(question?.method, "elicitation/create");
    const rest = frames.message();
    assert.equal(await isPending(rest), true);
    assert.equal(handler.stats().questions, 1);
    await old.reply(question?.id, { action: "decline" });
    assert.equal(textOf((await rest)?.result), "decline");
    await handler.close();
  });
});
